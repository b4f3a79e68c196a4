/** The DASH player: the browser's own controls, shaka-player behind them. The only module that knows it, loaded on the watch page alone. */
import shaka from "shaka-player/dist/shaka-player.dash-es2021.js";
import { h, icon, setText } from "./dom.ts";
import { PatientAbrManager } from "./patience.ts";
import { QualityMenu } from "./quality.ts";

interface PlayerOptions {
  readonly title: string;
  /** Addresses of the manifests. */
  readonly dash: string;
  readonly hls: string | null;
  readonly poster: string | null;
  readonly signal: AbortSignal;
  /** Whether parts of it may still have to be encoded. */
  isUnfinished(): boolean;
  /** Something could not be loaded: the video may be gone. */
  onTrouble(): void;
}

/**
 * A request may wait: for a segment that is not encoded yet the server holds it up to 8 s, and then says 503. What fails after these attempts is
 * tried again from here, for as long as the page is open.
 */
const RETRY = { maxAttempts: 3, baseDelay: 500, backoffFactor: 2, timeout: 30_000, connectionTimeout: 12_000, stallTimeout: 10_000 };
const RECONNECT_SECONDS = [1, 2, 4, 8] as const;

const SETTINGS = {
  // Each segment is asked for with the name of the viewing, so that its owner learns what was watched. In headers: an address is the same for all.
  cmcd: { enabled: true, useHeaders: true, includeKeys: ["sid", "br", "bs"] },
  manifest: { retryParameters: RETRY },
  // With 0 a failed request does not ban its rendition: here it is the network or a span still to be encoded, and the others would fail alike.
  // Manifests are exact. Expecting less (2 s by default), a leap to the start of a segment first asks for the one before, which has to be made, too.
  streaming: { retryParameters: RETRY, bufferingGoal: 30, maxDisabledTime: 0, inaccurateManifestTolerance: 0 },
};

const { Category, Code, Severity } = shaka.util.Error;

export class Player {
  readonly #options: PlayerOptions;
  readonly #video: HTMLVideoElement;
  readonly #note = h("p", { class: "player-note", role: "status", hidden: true });
  readonly #menu: QualityMenu;
  readonly #engine = new shaka.Player();
  readonly element: HTMLElement;
  #failures = 0;

  constructor(options: PlayerOptions) {
    const { title, poster, signal } = options;
    this.#options = options;
    this.#video = h("video", { controls: true, playsinline: true, poster, "aria-label": title });
    this.element = h("div", { class: "player" }, this.#video, this.#note);
    this.#menu = new QualityMenu(this.#engine);
    signal.addEventListener("abort", () => void this.#engine.destroy());
    addEventListener("online", () => this.#engine.retryStreaming(0), { signal });
    void this.#start();
  }

  /** The choice of renditions. */
  get quality(): HTMLElement {
    return this.#menu.element;
  }

  async #start(): Promise<void> {
    if (!shaka.Player.isBrowserSupported()) return await this.#startNative();
    const engine = this.#engine;
    engine.configure({ ...SETTINGS, abrFactory: () => new PatientAbrManager(() => this.#options.isUnfinished()) });
    engine.configure("streaming.failureCallback", (error: shaka.util.Error) => this.#reconnect(error));
    engine.addEventListener("error", (event) => this.#onError((event as unknown as { detail: shaka.util.Error }).detail));
    engine.addEventListener("segmentappended", () => this.#recovered());
    await engine.attach(this.#video);
    await this.#load();
  }

  /** Without Media Source Extensions (older iPhones) the browser itself plays HLS. */
  async #startNative(): Promise<void> {
    const { hls } = this.#options;
    if (hls === null || this.#video.canPlayType("application/vnd.apple.mpegurl") === "") {
      this.#giveUp("This browser has no Media Source Extensions.");
      return;
    }
    this.#video.src = hls;
    await this.#play();
  }

  async #load(): Promise<void> {
    try {
      await this.#engine.load(this.#options.dash);
      this.#menu.refresh();
      await this.#play();
    } catch (error) {
      if (this.#options.signal.aborted) return;
      const reason = error as shaka.util.Error;
      if (reason.category !== Category.NETWORK) this.#giveUp(`shaka-player says ${reason.code}.`);
      else setTimeout(() => void this.#load(), this.#wait(reason) * 1000);
    }
  }

  /** A browser may refuse to start sound that nobody asked for: then its play button is there. */
  async #play(): Promise<void> {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    await this.#video.play().catch(() => {});
  }

  #reconnect(error: shaka.util.Error): void {
    if (error.category === Category.NETWORK) this.#engine.retryStreaming(this.#wait(error));
  }

  /** Says what is going on; returns the seconds until the next attempt. */
  #wait({ code, data }: shaka.util.Error): number {
    const encoding = code === Code.BAD_HTTP_STATUS && data[1] === 503;
    setText(this.#note, encoding ? "This part is still being processed…" : "The server does not answer. Trying again…");
    this.#note.hidden = false;
    this.#options.onTrouble();
    const seconds = RECONNECT_SECONDS[Math.min(this.#failures, RECONNECT_SECONDS.length - 1)] ?? 1;
    this.#failures += 1;
    return seconds;
  }

  #recovered(): void {
    this.#failures = 0;
    this.#note.hidden = true;
  }

  #onError({ severity, category, code }: shaka.util.Error): void {
    if (severity === Severity.CRITICAL && category !== Category.NETWORK) this.#giveUp(`shaka-player says ${code}.`);
  }

  #giveUp(reason: string): void {
    const again = h("button", { type: "button", class: "button" }, icon("retry"), "Try again");
    again.addEventListener("click", () => location.reload());
    const box = h(
      "div",
      { class: "stage-box failed", role: "alert" },
      icon("alert"),
      h("h2", {}, "The video cannot be played here"),
      h("p", {}, reason),
      again,
    );
    this.element.replaceChildren(box);
  }
}
