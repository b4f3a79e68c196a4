/** Makes segments known in batches: one call at a time, which takes along what has gathered during the one before. */
import { SEGMENT_BATCH_MAX } from "../../kernel/limits.ts";
import type { Init } from "../domain/cmaf.ts";
import type { Publication, SegmentRow, StoredBlob } from "./ports.ts";

export class Publisher {
  readonly #publish: (publication: Publication) => Promise<void>;
  readonly #head: Omit<Publication, "segments">;
  #waiting: SegmentRow[] = [];
  #running: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(rendition: string, { timescale, codecs }: Init, init: StoredBlob, publish: (publication: Publication) => Promise<void>) {
    this.#publish = publish;
    this.#head = { rendition, timescale, codecs, init };
  }

  /** Waits only when a whole batch has gathered. Throws what an earlier call failed with. */
  async add(row: SegmentRow): Promise<void> {
    this.#waiting.push(row);
    this.#running ??= this.#run();
    if (this.#waiting.length >= SEGMENT_BATCH_MAX) await this.#running;
    this.#throwFailure();
  }

  /** Resolves when everything is known. */
  async drain(): Promise<void> {
    await this.#running;
    this.#throwFailure();
  }

  /** Never rejects: the failure is thrown at the next call, so that no promise is left without an owner. */
  async #run(): Promise<void> {
    try {
      while (this.#waiting.length > 0) await this.#publish({ ...this.#head, segments: this.#waiting.splice(0, SEGMENT_BATCH_MAX) });
    } catch (error) {
      this.#failure = { error };
    } finally {
      this.#running = undefined;
    }
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }
}
