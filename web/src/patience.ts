/** Chooses renditions by the speed of the network, as shaka-player does, and does not take the server's work for a slow network. */
import shaka from "shaka-player/dist/shaka-player.dash-es2021.js";

/** As long as the server holds a request. */
const HOLD_MS = 8000;
/** No answer of a segment that is there takes so long to begin. */
const HELD_MS = 1000;

type About = [request?: shaka.extern.Request, context?: shaka.extern.RequestContext];

/**
 * A request for a segment that is not encoded yet is held until it is. Counted as the time that its few bytes took, it would say that the network is slow:
 * the player would drop what it waited for, and ask for the same seconds in another rendition, which is not encoded either.
 */
export class PatientAbrManager extends shaka.abr.SimpleAbrManager {
  /** Until then the other streams may be waiting, too: to switch would drop what they wait for. */
  #waitingUntil = 0;

  override segmentDownloaded(deltaTimeMs: number, numBytes: number, allowSwitch: boolean, ...about: About): void {
    const [request] = about;
    // Only the first part of a body had to wait for its beginning; a small one comes in one.
    const waited = (request?.packetNumber ?? 1) === 1 ? (request?.timeToFirstByte ?? 0) : 0;
    if (waited >= HELD_MS) this.#waitingUntil = performance.now() + HOLD_MS;
    const took = waited < HELD_MS ? deltaTimeMs : Math.max(0, deltaTimeMs - waited);
    super.segmentDownloaded(took, numBytes, allowSwitch && performance.now() >= this.#waitingUntil, ...about);
  }
}
