import { ApiError } from "./api.ts";
import { live } from "./live.ts";

/** What a round found: news (ask again soon), nothing new (ask less and less often), or nothing left to wait for. */
export type Round = "news" | "quiet" | "idle";

const SOONEST_MS = 1000;
/** Whoever waits for a first picture notices more than this. */
const LATEST_MS = 5000;
const BACK_OFF = 1.5;
/** While changes are told: for those that are not. */
const TOLD_MS = 10_000;

interface PollerOptions {
  readonly round: () => Promise<Round>;
  /** A round failed; it will be made again. */
  readonly onFailure: (error: ApiError) => void;
  readonly signal: AbortSignal;
}

/** Asks again and again while there is something to wait for; not while the tab is hidden, and at once when it is shown or the network is back. */
export class Poller {
  readonly #options: PollerOptions;
  #delayMs = SOONEST_MS;
  #timer = 0;
  #running = false;
  #wokenMeanwhile = false;

  /** Starts with a round at once. */
  constructor(options: PollerOptions) {
    this.#options = options;
    const { signal } = options;
    document.addEventListener("visibilitychange", () => this.#onVisibility(), { signal });
    addEventListener("online", () => this.wake(), { signal });
    signal.addEventListener("abort", () => clearTimeout(this.#timer));
    this.wake();
  }

  /** Makes a round now. */
  wake(): void {
    this.#delayMs = SOONEST_MS;
    void this.#run();
  }

  /** Makes a round with each change of the topic. */
  follow(topic: string, signal: AbortSignal): void {
    live.watch(
      topic,
      () => {
        if (!document.hidden) this.wake();
      },
      signal,
    );
  }

  #onVisibility(): void {
    if (document.hidden) clearTimeout(this.#timer);
    else this.wake();
  }

  async #run(): Promise<void> {
    clearTimeout(this.#timer);
    this.#wokenMeanwhile = this.#running;
    if (this.#running || this.#options.signal.aborted) return;
    this.#running = true;
    const found = await this.#round().finally(() => (this.#running = false));
    if (this.#wokenMeanwhile) await this.#run();
    else if (found !== "idle" && !document.hidden)
      this.#timer = setTimeout(() => void this.#run(), live.open ? Math.max(TOLD_MS, this.#delayMs) : this.#delayMs);
  }

  async #round(): Promise<Round> {
    const { round, onFailure, signal } = this.#options;
    try {
      const found = await round();
      this.#delayMs = found === "news" ? SOONEST_MS : Math.min(LATEST_MS, this.#delayMs * BACK_OFF);
      return found;
    } catch (error) {
      if (signal.aborted) return "idle";
      if (!(error instanceof ApiError)) throw error;
      this.#delayMs = Math.max(error.retryAfterS * 1000, Math.min(LATEST_MS, this.#delayMs * BACK_OFF));
      onFailure(error);
      return "quiet";
    }
  }
}
