/** Viewings by players that say who they are along with what they ask for (CMCD): what they were given is told to the catalogue now and then. */
import { LRUCache } from "lru-cache";
import type { Principal } from "../kernel/principal.ts";
import { call, type Caller } from "../kernel/rpc.ts";
import { videos, type ViewingEvent } from "../videos/contract.ts";
import type { ClientData } from "./domain/cmcd.ts";
import { isAway } from "./domain/problem.ts";
import type { Key } from "./domain/signature.ts";
import { disguised, Teller } from "./teller.ts";

const TELL_MS = 10_000;
/** Reports at the same time: each is a transaction. */
const AT_ONCE = 4;
/** About 300 bytes each. Whoever is pushed out loses what was not told of ten seconds. */
const VIEWINGS_MAX = 20_000;
/** What one event may tell of. A player that leaps about more than this in ten seconds shows nothing. */
const SPANS_MAX = 20;

/** A segment of a picture that was asked for by a player that says who it is. */
export interface Given {
  readonly id: string;
  readonly as: Principal;
  /** A user, or an address as limits count it. */
  readonly viewer: string;
  readonly data: ClientData;
  readonly number: number;
  readonly from: number;
  readonly to: number;
}

/** Changed where it lies: more comes in while a round is told. */
interface Viewing extends Pick<Given, "id" | "viewer"> {
  as: Principal;
  data: ClientData;
  /** The number of the last segment: another rendition of it is no more of the video. */
  last: number;
  spans: [from: number, to: number][];
  starved: number;
}

export class Viewings {
  readonly #caller: Caller;
  readonly #viewings = new LRUCache<string, Viewing>({ max: VIEWINGS_MAX });
  readonly teller: Teller;

  /** `keys` are secrets that all gateways share, the newest first. */
  constructor(caller: Caller, keys: (caller: Caller) => Promise<readonly Key[]>) {
    this.#caller = caller;
    this.teller = new Teller(TELL_MS, async () => {
      const untold = this.#untold();
      if (untold.length > 0) await this.#tell(untold, await keys(caller));
    });
  }

  given({ id, as, viewer, data, number, from, to }: Given): void {
    const key = `${id}/${data.session}`;
    const viewing: Viewing = this.#viewings.get(key) ?? { id, as, viewer, data, last: Number.NaN, spans: [], starved: 0 };
    this.#viewings.set(key, viewing);
    Object.assign(viewing, { as, data, starved: viewing.starved + (data.starved ? 1 : 0) });
    if (viewing.last === number) return;
    viewing.last = number;
    const before = viewing.spans.at(-1);
    // Durations are sums of fractions.
    if (before && Math.abs(before[1] - from) < 0.01) before[1] = to;
    else if (viewing.spans.length < SPANS_MAX) viewing.spans.push([from, to]);
  }

  #untold(): readonly Viewing[] {
    return [...this.#viewings.values()].filter(({ spans, starved }) => spans.length > 0 || starved > 0);
  }

  /** What is refused, as its video was deleted meanwhile, holds nobody up; when nobody can be told, the rest is kept for the next round. */
  async #tell(untold: readonly Viewing[], [key]: readonly Key[]): Promise<void> {
    if (!key) return;
    const refused: unknown[] = [];
    const told = async (viewing: Viewing): Promise<void> => {
      await this.#tellOf(viewing, key).catch((error: unknown) => {
        if (isAway(error)) throw error;
        refused.push(error);
      });
    };
    for (let at = 0; at < untold.length; at += AT_ONCE) await Promise.all(untold.slice(at, at + AT_ONCE).map(told));
    if (refused.length > 0) throw refused[0];
  }

  /** Taken before it is told: a catalogue that does not answer costs ten seconds of it, and never counts them twice. */
  async #tellOf(viewing: Viewing, key: Key): Promise<void> {
    const { id, as, viewer, data, spans, starved } = viewing;
    const at = new Date().toISOString();
    const bitrate = data.bitrate === undefined ? {} : { bitrate: data.bitrate };
    const beats: ViewingEvent[] =
      spans.length > 0 ? [{ type: "beat", at, watched: spans.map(([from, to]) => [from, to]), ...bitrate }] : [];
    const waits = Array.from({ length: Math.min(starved, SPANS_MAX) }, (): ViewingEvent => ({ type: "rebuffer", at }));
    Object.assign(viewing, { spans: [], starved: 0 });
    const report = { session: data.session, events: [...beats, ...waits], viewer: disguised(id, viewer, key) };
    await call(this.#caller, videos.watched, { id, as, ...report });
  }
}
