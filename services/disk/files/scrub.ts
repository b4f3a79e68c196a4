/** Reads every chunk again, slowly, and takes those out of service that are not what their names say. It goes on where it was after a restart. */
import { setTimeout as sleep } from "node:timers/promises";
import { errorType } from "../../kernel/errors.ts";
import { OUTER_FOLDERS } from "../domain/partition.ts";
import { begun, FRESH, isDue, outerOf, progressOf, scrubState, type ScrubState } from "../domain/scrub.ts";
import { SavedFile } from "./saved.ts";
import type { ChunkStore } from "./store.ts";

/** What is looked at twice after a crash is at most what was read in this time. */
const SAVE_MS = 10_000;
/** How soon a pass that is due, or a word of an operator, is noticed. */
const ROUND_MS = 1000;
/** After a pause it makes up for no more than this. */
const BURST_MS = 1000;

export interface ScrubFigures {
  /** Every chunk was verified then or later: seconds since 1970; 0 while that is not so. */
  readonly oldestVerifiedAt: number;
  readonly checkedChunks: number;
  readonly checkedBytes: number;
  /** 0 to 1. */
  readonly progress: number;
  readonly running: boolean;
  readonly paused: boolean;
  readonly bytesPerSecond: number;
}

export class Scrubber {
  readonly #store: ChunkStore;
  readonly #file: SavedFile;
  readonly #bytesPerSecond: number;
  #state: ScrubState;
  #savedAt = 0;
  /** When the bytes that were read so far are paid for. */
  #paidAt = 0;

  private constructor({ store, file }: { store: ChunkStore; file: SavedFile }, bytesPerSecond: number, state: ScrubState) {
    this.#store = store;
    this.#file = file;
    this.#bytesPerSecond = bytesPerSecond;
    this.#state = state;
  }

  static async open(store: ChunkStore, bytesPerSecond: number): Promise<Scrubber> {
    const file = new SavedFile(store.folder, store.folder.scrubFile);
    return new Scrubber({ store, file }, bytesPerSecond, stateIn((await file.read()) ?? ""));
  }

  get figures(): ScrubFigures {
    const { checkedChunks, checkedBytes, running, paused, verifiedAt } = this.#state;
    const oldestVerifiedAt = Math.floor(Math.min(...verifiedAt) / 1000);
    const progress = progressOf(this.#state);
    return { oldestVerifiedAt, checkedChunks, checkedBytes, progress, running, paused, bytesPerSecond: this.#bytesPerSecond };
  }

  /** Begins a pass unless one is under way; pauses, or goes on. Done when that is durable. */
  async steer({ now, paused }: { readonly now: boolean; readonly paused?: boolean | undefined }): Promise<void> {
    if (now && !this.#state.running) this.#state = begun(this.#state, this.#store.folder.files.now());
    if (paused !== undefined) this.#state = { ...this.#state, paused };
    await this.#save();
  }

  /** Until the signal is aborted. `failed` is told of what stops a pass; it is tried again. */
  async run(signal: AbortSignal, failed: (error: unknown) => void): Promise<void> {
    while (!signal.aborted) {
      await this.#pass(signal).catch(failed);
      await nap(ROUND_MS, signal);
    }
    await this.#save().catch(failed);
  }

  /** Goes on with the pass that is under way, or begins one when it is due. Ends early when it is paused. */
  async #pass(signal: AbortSignal): Promise<void> {
    const { files } = this.#store.folder;
    if (this.#state.paused || !isDue(this.#state, files.now())) return;
    if (!this.#state.running) this.#state = begun(this.#state, files.now());
    for (let outer = outerOf(this.#state); outer < OUTER_FOLDERS; outer += 1) {
      const began = this.#state.after === "" || outerOf(this.#state) !== outer ? files.now() : this.#state.startedAt;
      for await (const name of this.#store.namesIn(outer, this.#state.after)) {
        if (signal.aborted || this.#state.paused) return;
        await this.#check(name, signal);
      }
      const { verifiedAt } = this.#state;
      this.#state = { ...this.#state, verifiedAt: verifiedAt.with(outer, began) };
    }
    this.#state = { ...this.#state, running: false, after: "" };
    await this.#save();
  }

  async #check(hash: string, signal: AbortSignal): Promise<void> {
    const bytes = await this.#store
      .verify(hash, (length) => this.#pay(length, signal))
      .catch((error: unknown) => {
        // It was deleted meanwhile.
        if (errorType(error) === "CHUNK_NOT_FOUND") return 0;
        throw error;
      });
    const { checkedChunks, checkedBytes } = this.#state;
    this.#state = { ...this.#state, after: hash, checkedChunks: checkedChunks + 1, checkedBytes: checkedBytes + bytes };
    if (this.#store.folder.files.now() - this.#savedAt > SAVE_MS) await this.#save();
  }

  async #pay(bytes: number, signal: AbortSignal): Promise<void> {
    const now = performance.now();
    this.#paidAt = Math.max(this.#paidAt, now - BURST_MS) + (bytes / this.#bytesPerSecond) * 1000;
    if (this.#paidAt > now) await nap(this.#paidAt - now, signal);
  }

  async #save(): Promise<void> {
    this.#savedAt = this.#store.folder.files.now();
    await this.#file.save(() => `${JSON.stringify(this.#state)}\n`);
  }
}

/** What is not to be read is begun again: it is about what was verified, not about what is there. */
function stateIn(content: string): ScrubState {
  try {
    return scrubState.parse(JSON.parse(content));
  } catch {
    return FRESH;
  }
}

/** Ends early when the signal is aborted. */
async function nap(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
