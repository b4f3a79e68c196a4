/** The right of a request to send bytes of an upload, kept for as long as it does. */
import { setTimeout as sleep } from "node:timers/promises";
import { errorType } from "../../kernel/errors.ts";
import type { TusHold, TusPorts, TusUpload } from "./ports.ts";

/** Four of them, and the hold has run out (services/uploads/store/uploads.ts). */
const BEAT_MS = 1000;
/** A client that is there sends more often; the operating system tells of one that is gone after minutes. */
const IDLE_MS = 2000;
/** For an idle holder to learn that it is to leave, to store what it has, and to go. */
const WAIT_MS = 6000;
const POLL_MS = 200;

export class Hold {
  readonly #ports: TusPorts;
  readonly #held: TusHold;
  readonly #timer: NodeJS.Timeout;
  #beating = Promise.resolve();
  /** Since when nothing comes from the client, ms of the monotonic clock; undefined while it is we who do not read. */
  waitingSince: number | undefined;
  /** Told when this request is to end what it is doing: another one waits for it, or has taken over. */
  onLost: (() => void) | undefined;

  private constructor(ports: TusPorts, held: TusHold) {
    this.#ports = ports;
    this.#held = held;
    this.#timer = setInterval(() => void (this.#beating = this.#beat()), BEAT_MS);
  }

  /**
   * UPLOAD_LOCKED at once while another request is really sending. One whose client is silent, perhaps because its connection died without a word,
   * is waited for: it is asked to leave.
   */
  static async take(ports: TusPorts, id: string): Promise<{ hold: Hold; upload: TusUpload }> {
    const deadline = performance.now() + WAIT_MS;
    for (;;) {
      try {
        const { upload, fence } = await ports.hold(id);
        return { upload, hold: new Hold(ports, { id, fence }) };
      } catch (error) {
        const { data } = error as { data?: { idle?: unknown } };
        if (errorType(error) !== "UPLOAD_LOCKED" || data?.idle !== true || performance.now() > deadline) throw error;
        await sleep(POLL_MS);
      }
    }
  }

  async declare(length: number): Promise<TusUpload> {
    return await this.#ports.declare(this.#held, length);
  }

  async append(start: number, parts: Parameters<TusPorts["append"]>[2]): Promise<TusUpload> {
    return await this.#ports.append(this.#held, start, parts);
  }

  /** A release that fails is one that runs out. */
  async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#beating;
    await this.#ports.release(this.#held).catch(() => {});
  }

  get #idle(): boolean {
    return this.waitingSince !== undefined && performance.now() - this.waitingSince > IDLE_MS;
  }

  /** What cannot be asked now is asked again; whether the hold has run out, `append` says. */
  async #beat(): Promise<void> {
    try {
      const { wanted } = await this.#ports.beat(this.#held, this.#idle);
      if (wanted && this.#idle) this.onLost?.();
    } catch (error) {
      if (errorType(error) === "UPLOAD_LOCKED") this.onLost?.();
    }
  }
}
