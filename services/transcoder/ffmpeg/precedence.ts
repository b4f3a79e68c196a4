/** What can wait stands still while there is something that somebody waits for: a process of lower priority still takes turns from one whose threads wait for each other. */

/** As long as the gateway holds a request: what stands still for longer could be missed elsewhere. */
const PAUSE_MS_MAX = 8000;
/** They run at least for this share of a pause before the next: a third of the time, whatever people wait for. */
const RUN_SHARE = 0.5;

/** What somebody waits for: that a new video begins, or this very segment, before which even that stands still. It is the shorter work. */
export type Urgency = "start" | "wanted";

interface Running {
  /** Undefined for what can wait. */
  readonly urgency: Urgency | undefined;
  readonly onTurn: (stopped: boolean) => void;
  stopped: boolean;
}

interface Waiting {
  readonly urgency: Urgency | undefined;
  readonly begin: () => void;
}

/** The processes of one transcoder. */
export class Precedence {
  readonly #running = new Map<number, Running>();
  /** What has not begun, since it would stand still at once. */
  readonly #waiting = new Set<Waiting>();
  /** For what somebody wants to see, and for anything that somebody waits for: what can wait has one share of the time, not what two pauses leave of it. */
  readonly #pauses: { readonly wanted: Pause; readonly any: Pause };

  constructor() {
    const settle = (): void => this.#settle();
    this.#pauses = { wanted: new Pause(settle), any: new Pause(settle) };
  }

  /** Resolves when a process may begin: until it runs itself and can stand still it takes time from others, too. Rejects with the signal's reason. */
  async mayBegin(signal: AbortSignal, urgency?: Urgency): Promise<void> {
    signal.throwIfAborted();
    if (!this.#standsStill(urgency)) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting = { urgency, begin: resolve };
    const give = (): void => reject(signal.reason as Error);
    this.#waiting.add(waiting);
    signal.addEventListener("abort", give);
    await promise.finally(() => {
      this.#waiting.delete(waiting);
      signal.removeEventListener("abort", give);
    });
  }

  /** A process began. `onTurn` is told when it stands still, and when it goes on. Call the answer when it is gone. */
  begun(pid: number, urgency?: Urgency, onTurn: (stopped: boolean) => void = () => {}): () => void {
    this.#running.set(pid, { urgency, onTurn, stopped: false });
    this.#settle();
    return () => this.#running.delete(pid);
  }

  /** Work began that somebody waits for. Call the answer when it is done. */
  urgent(urgency: Urgency): () => void {
    const { wanted, any } = this.#pauses;
    const done = [any, ...(urgency === "wanted" ? [wanted] : [])].map((pause) => pause.begin());
    return () => done.forEach((end) => end());
  }

  #settle(): void {
    for (const [pid, running] of this.#running) {
      const stopped = this.#standsStill(running.urgency);
      if (stopped === running.stopped) continue;
      running.stopped = stopped;
      tell(pid, stopped ? "SIGSTOP" : "SIGCONT");
      running.onTurn(stopped);
    }
    for (const { urgency, begin } of this.#waiting) if (!this.#standsStill(urgency)) begin();
  }

  #standsStill(urgency: Urgency | undefined): boolean {
    const { wanted, any } = this.#pauses;
    return urgency === undefined ? any.holds : urgency === "start" && wanted.holds;
  }
}

/** Others stand still for work of one kind, again and again while it lasts. */
class Pause {
  readonly #changed: () => void;
  #holds = false;
  #works = 0;
  /** To the end of this pause, or to the next. */
  #timer: NodeJS.Timeout | undefined;
  /** When the others last stopped and last went on, ms of the monotonic clock. */
  #stoppedAt = 0;
  #wentOnAt = 0;
  #lastMs = 0;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get holds(): boolean {
    return this.#holds;
  }

  /** Call the answer when the work is done. */
  begin(): () => void {
    this.#works += 1;
    if (this.#works === 1) this.#stop();
    return () => {
      this.#works -= 1;
      if (this.#works === 0) this.#goOn();
    };
  }

  /** Not before they have run for a while: one leap after the other must not keep them from ever coming to an end. */
  #stop(): void {
    const now = performance.now();
    const early = this.#wentOnAt + this.#lastMs * RUN_SHARE - now;
    if (early > 0) return this.#after(early, () => this.#stop());
    this.#stoppedAt = now;
    this.#turn(true);
    this.#after(PAUSE_MS_MAX, () => {
      this.#goOn();
      this.#stop();
    });
  }

  #goOn(): void {
    clearTimeout(this.#timer);
    if (!this.#holds) return;
    this.#wentOnAt = performance.now();
    this.#lastMs = this.#wentOnAt - this.#stoppedAt;
    this.#turn(false);
  }

  #turn(holds: boolean): void {
    this.#holds = holds;
    this.#changed();
  }

  #after(ms: number, then: () => void): void {
    this.#timer = setTimeout(then, ms);
  }
}

/** It may have ended a moment ago. */
function tell(pid: number, signal: "SIGSTOP" | "SIGCONT"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
