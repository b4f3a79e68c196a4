/** A timer that stands still together with the process that it watches. */
export class Countdown {
  readonly #ms: number;
  readonly #then: () => void;
  #leftMs: number;
  #since = 0;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(ms: number, then: () => void) {
    this.#ms = ms;
    this.#then = then;
    this.#leftMs = ms;
    this.#goOn();
  }

  /** All of the time is left again. */
  renew(): void {
    this.#leftMs = this.#ms;
    if (this.#timer) this.#goOn();
  }

  turn(stopped: boolean): void {
    if (stopped) this.#stop();
    else if (!this.#timer) this.#goOn();
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  #goOn(): void {
    if (this.#ended) return;
    clearTimeout(this.#timer);
    this.#since = performance.now();
    this.#timer = setTimeout(this.#then, this.#leftMs);
  }

  #stop(): void {
    if (!this.#timer) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#leftMs = Math.max(0, this.#leftMs - (performance.now() - this.#since));
  }
}
