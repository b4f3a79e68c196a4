/** What can wait stands still while there is something that somebody waits for: a process of lower priority still takes turns from one whose threads wait for each other. */

/** Nobody waits as long for a piece of a video, and what stands still for longer could be missed elsewhere. */
const PAUSE_MS_MAX = 5000;
/** They run at least for this share of a pause before the next: a third of the time, whatever people wait for. */
const RUN_SHARE = 0.5;

/** The processes of one transcoder. */
export class Precedence {
  readonly #patient = new Set<number>();
  #urgent = 0;
  #timer: NodeJS.Timeout | undefined;
  /** When they last stopped and last went on, ms of the monotonic clock; they run when nothing is paused. */
  #stoppedAt = 0;
  #wentOnAt = 0;
  #lastPauseMs = 0;

  /** A process began that can wait. Call the answer when it is gone. */
  patient(pid: number): () => void {
    this.#patient.add(pid);
    if (this.#timer) tell(pid, "SIGSTOP");
    return () => this.#patient.delete(pid);
  }

  /** Work began that somebody waits for. Call the answer when it is done. */
  urgent(): () => void {
    this.#urgent += 1;
    if (this.#urgent === 1) this.#pause();
    return () => {
      this.#urgent -= 1;
      if (this.#urgent === 0) this.#goOn();
    };
  }

  /** Not again before they have run for a while: one leap after the other must not keep them from ever coming to an end. */
  #pause(): void {
    const now = performance.now();
    if (now - this.#wentOnAt < this.#lastPauseMs * RUN_SHARE) return;
    this.#stoppedAt = now;
    this.#timer = setTimeout(() => this.#goOn(), PAUSE_MS_MAX);
    for (const pid of this.#patient) tell(pid, "SIGSTOP");
  }

  #goOn(): void {
    if (!this.#timer) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#wentOnAt = performance.now();
    this.#lastPauseMs = this.#wentOnAt - this.#stoppedAt;
    for (const pid of this.#patient) tell(pid, "SIGCONT");
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
