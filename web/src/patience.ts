/** Chooses renditions by the speed of the network, as shaka-player does, and does not take the server's work for a slow network. */
import shaka from "shaka-player/dist/shaka-player.dash-es2021.js";

/** As long as the server holds a request. */
const HOLD_MS = 8000;
/** No answer of a segment that is there takes so long to begin. */
const HELD_MS = 1000;
/** Lines of what is asked for while nothing is there to be shown: encoded in a fraction of the time of 1080, and still a picture. */
const HASTY_LINES_MAX = 360;
/** With so many seconds to be shown, others can be waited for that take longer to encode. */
const COMFORT_S = 10;
/** What is buffered ends a little before or after the duration that is told. */
const END_S = 0.5;

type About = [request?: shaka.extern.Request, context?: shaka.extern.RequestContext];
type Variant = shaka.extern.Variant;

/**
 * A request for a segment that is not encoded yet is held until it is. Counted as the time that its few bytes took, it would say that the network is slow:
 * the player would drop what it waited for, and ask for the same seconds in another rendition, which is not encoded either.
 *
 * Somebody who leaps into what may not be encoded yet sees it soonest in a small rendition; larger ones follow when some seconds are there.
 */
export class PatientAbrManager extends shaka.abr.SimpleAbrManager {
  readonly #isUnfinished: () => boolean;
  readonly #onSeeking = (): void => this.#hasten();
  #element: HTMLMediaElement | null = null;
  #variants: readonly Variant[] = [];
  #switch: shaka.extern.AbrManager.SwitchCallback | undefined;
  #enabled = false;
  /** Until then the other streams may be waiting, too: to switch would drop what they wait for. */
  #waitingUntil = 0;
  /** From a leap on, until enough is there to be shown. */
  #hasty = false;

  /** `isUnfinished` says whether parts of the video may still have to be encoded. */
  constructor(isUnfinished: () => boolean) {
    super();
    this.#isUnfinished = isUnfinished;
  }

  override init(onSwitch: shaka.extern.AbrManager.SwitchCallback, onDisable: unknown): void {
    this.#switch = onSwitch;
    super.init(onSwitch, onDisable);
  }

  override stop(): void {
    this.#element?.removeEventListener("seeking", this.#onSeeking);
    this.#switch = undefined;
    super.stop();
  }

  override enable(): void {
    this.#enabled = true;
    super.enable();
  }

  /** Somebody has chosen a rendition himself. */
  override disable(): void {
    this.#enabled = false;
    super.disable();
  }

  override setMediaElement(element: HTMLMediaElement | null): void {
    this.#element?.removeEventListener("seeking", this.#onSeeking);
    this.#element = element;
    element?.addEventListener("seeking", this.#onSeeking);
    super.setMediaElement(element);
  }

  override setVariants(variants: readonly Variant[], isLowLatency: boolean): boolean {
    this.#variants = variants;
    return super.setVariants(variants, isLowLatency) as boolean;
  }

  override chooseVariant(preferFastSwitching?: boolean): Variant {
    return (this.#hasty && this.#isUnfinished() ? hastyOf(this.#variants) : undefined) ?? super.chooseVariant(preferFastSwitching);
  }

  override segmentDownloaded(deltaTimeMs: number, numBytes: number, allowSwitch: boolean, ...about: About): void {
    const [request] = about;
    // Only the first part of a body had to wait for its beginning; a small one comes in one.
    const waited = (request?.packetNumber ?? 1) === 1 ? (request?.timeToFirstByte ?? 0) : 0;
    if (waited >= HELD_MS) this.#waitingUntil = performance.now() + HOLD_MS;
    const comfortable = isComfortable(this.#element);
    if (comfortable) this.#hasty = false;
    const took = waited < HELD_MS ? deltaTimeMs : Math.max(0, deltaTimeMs - waited);
    super.segmentDownloaded(took, numBytes, allowSwitch && (comfortable || performance.now() >= this.#waitingUntil), ...about);
  }

  #hasten(): void {
    if (!this.#enabled || !this.#isUnfinished() || secondsAhead(this.#element) > 0) return;
    const variant = hastyOf(this.#variants);
    if (!variant) return;
    this.#hasty = true;
    this.#switch?.(variant);
  }
}

/** The largest of those that are encoded soon; undefined when all are larger. */
function hastyOf(variants: readonly Variant[]): Variant | undefined {
  return variants.filter((variant) => linesOf(variant) <= HASTY_LINES_MAX).toSorted((a, b) => linesOf(b) - linesOf(a))[0];
}

function linesOf({ video }: Variant): number {
  return Math.min(video?.width ?? 0, video?.height ?? 0);
}

/** So much is there to be shown that nobody has to wait soon, or all that there is. */
function isComfortable(element: HTMLMediaElement | null): boolean {
  if (!element) return false;
  const ahead = secondsAhead(element);
  return ahead >= COMFORT_S || element.currentTime + ahead >= element.duration - END_S;
}

/** That can be shown without a pause from where it stands. */
function secondsAhead(element: HTMLMediaElement | null): number {
  if (!element) return 0;
  const { buffered, currentTime } = element;
  const ends = Array.from({ length: buffered.length }, (_, n) => [buffered.start(n), buffered.end(n)] as const);
  const [, end = currentTime] = ends.find(([from, to]) => from <= currentTime && currentTime < to) ?? [];
  return end - currentTime;
}
