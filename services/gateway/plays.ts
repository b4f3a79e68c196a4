/**
 * Views: a play begins when somebody has asked for enough of a picture, whatever player asks, and is told to the catalogue in batches. Segments are asked
 * for one after the other, so this costs a request nothing but a look into memory.
 */
import { LRUCache } from "lru-cache";
import { call, type Caller } from "../kernel/rpc.ts";
import { PLAYS_BATCH_MAX, videos } from "../videos/contract.ts";
import type { Key } from "./domain/signature.ts";
import { disguised, Teller } from "./teller.ts";

/** Who only looks what a video is like has left by then. Of a shorter video, all of it. */
const ENOUGH_S = 10;
/** Often enough for the catalogue to see that a play goes on (services/videos/store/plays.ts), and for a page that is loaded again to show the view. */
const TELL_AGAIN_MS = 10 * 60_000;
/** As long as the catalogue takes it for one play. */
const PLAY_OVER_MS = 30 * 60_000;
const TELL_MS = 1000;
/** About 250 bytes each. Whoever is pushed out has to ask for enough once more. */
const WATCHING_MAX = 20_000;
/** Beyond this, while the catalogue does not answer, views are lost: a number that is too small hurts nobody. */
const UNTOLD_MAX = 20_000;

/** A segment of a picture that was asked for. */
export interface Watched {
  readonly id: string;
  /** A user, or an address as limits count it. */
  readonly viewer: string;
  readonly number: number;
  /** Of the segment, and of the whole video. */
  readonly seconds: number;
  readonly totalS: number;
}

interface Watching {
  seconds: number;
  /** The number of the last segment: another rendition of it is no more of the video. */
  last: number;
  /** By performance.now(); undefined until it is a play. */
  toldAt: number | undefined;
  /** What the play was first told under: the next day's key would make another viewer of who goes on. */
  key: Key | undefined;
}

export class Plays {
  readonly #watching = new LRUCache<string, Watching>({ max: WATCHING_MAX });
  readonly #untold = new Map<string, Pick<Watched, "id" | "viewer">>();
  readonly teller: Teller;

  /** `keys` are secrets that all gateways share, the newest first. */
  constructor(caller: Caller, keys: (caller: Caller) => Promise<readonly Key[]>) {
    this.teller = new Teller(TELL_MS, async () => {
      if (this.#untold.size > 0) await this.#tell(caller, await keys(caller));
    });
  }

  watched({ id, viewer, number, seconds, totalS }: Watched): void {
    const key = `${id}/${viewer}`;
    const watching = this.#watching.get(key) ?? { seconds: 0, last: Number.NaN, toldAt: undefined, key: undefined };
    this.#watching.set(key, watching);
    if (watching.last !== number) watching.seconds += seconds;
    watching.last = number;
    // Durations are sums of fractions.
    if (watching.seconds < Math.min(ENOUGH_S, 0.99 * totalS)) return;
    const now = performance.now();
    if ((watching.toldAt !== undefined && now - watching.toldAt < TELL_AGAIN_MS) || this.#untold.size >= UNTOLD_MAX) return;
    if (watching.toldAt !== undefined && now - watching.toldAt > PLAY_OVER_MS) watching.key = undefined;
    watching.toldAt = now;
    this.#untold.set(key, { id, viewer });
  }

  async #tell(caller: Caller, [newest]: readonly Key[]): Promise<void> {
    if (!newest) return;
    while (this.#untold.size > 0) {
      const batch = [...this.#untold].slice(0, PLAYS_BATCH_MAX);
      const plays = batch.map(([name, { id, viewer }]) => ({ id, viewer: disguised(id, viewer, this.#keyOf(name, newest)) }));
      await call(caller, videos.played, { plays });
      for (const [name] of batch) this.#untold.delete(name);
    }
  }

  #keyOf(name: string, newest: Key): Key {
    const watching = this.#watching.peek(name);
    if (watching) watching.key ??= newest;
    return watching?.key ?? newest;
  }
}
