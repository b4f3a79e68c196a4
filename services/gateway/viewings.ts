/** Viewings by players that say who they are along with what they ask for (CMCD): what they were given is told to the catalogue now and then. */
import { LRUCache } from "lru-cache";
import { repeat, type Repeated } from "../../mixins/repeat.ts";
import type { Principal } from "../kernel/principal.ts";
import { call, type Caller } from "../kernel/rpc.ts";
import { videos, type ViewingEvent } from "../videos/contract.ts";
import type { ClientData } from "./domain/cmcd.ts";
import type { Key } from "./domain/signature.ts";
import { disguised } from "./plays.ts";

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

interface Viewing extends Pick<Given, "id" | "as" | "viewer" | "data"> {
  /** The number of the last segment: another rendition of it is no more of the video. */
  last: number;
  spans: [from: number, to: number][];
  starved: number;
}

export class Viewings {
  readonly #caller: Caller;
  readonly #keys: (caller: Caller) => Promise<readonly Key[]>;
  readonly #viewings = new LRUCache<string, Viewing>({ max: VIEWINGS_MAX });
  #telling: Repeated | undefined;

  /** `keys` are secrets that all gateways share, the newest first. */
  constructor(caller: Caller, keys: (caller: Caller) => Promise<readonly Key[]>) {
    this.#caller = caller;
    this.#keys = keys;
  }

  start(onFailure: (error: unknown) => void): void {
    this.#telling = repeat(TELL_MS, async () => await this.#tell(), onFailure);
  }

  /** What is not told yet is told. */
  async stop(): Promise<void> {
    await this.#telling?.stop();
    await this.#tell().catch(() => {});
  }

  given({ id, as, viewer, data, number, from, to }: Given): void {
    const key = `${id}/${data.session}`;
    const viewing = this.#viewings.get(key) ?? { id, as, viewer, data, last: Number.NaN, spans: [], starved: 0 };
    this.#viewings.set(key, { ...viewing, as, data, last: number, starved: viewing.starved + (data.starved ? 1 : 0) });
    if (viewing.last === number) return;
    const before = viewing.spans.at(-1);
    // Durations are sums of fractions.
    if (before && Math.abs(before[1] - from) < 0.01) before[1] = to;
    else if (viewing.spans.length < SPANS_MAX) viewing.spans.push([from, to]);
  }

  async #tell(): Promise<void> {
    const untold = [...this.#viewings.values()].filter(({ spans, starved }) => spans.length > 0 || starved > 0);
    if (untold.length === 0) return;
    const [key] = await this.#keys(this.#caller);
    if (!key) return;
    for (let at = 0; at < untold.length; at += AT_ONCE)
      await Promise.all(untold.slice(at, at + AT_ONCE).map(async (each) => await this.#tellOf(each, key)));
  }

  /** Taken before it is told: a catalogue that does not answer costs ten seconds of it, and never counts them twice. */
  async #tellOf(viewing: Viewing, key: Key): Promise<void> {
    const { id, as, viewer, data, spans, starved } = viewing;
    const at = new Date().toISOString();
    const bitrate = data.bitrate === undefined ? {} : { bitrate: data.bitrate };
    const beats: ViewingEvent[] =
      spans.length > 0 ? [{ type: "beat", at, watched: spans.map(([from, to]) => [from, to]), ...bitrate }] : [];
    const waits = Array.from({ length: Math.min(starved, SPANS_MAX) }, (): ViewingEvent => ({ type: "rebuffer", at }));
    this.#viewings.set(`${id}/${data.session}`, { ...viewing, spans: [], starved: 0 });
    const report = { session: data.session, events: [...beats, ...waits], viewer: disguised(id, viewer, key) };
    await call(this.#caller, videos.watched, { id, as, ...report });
  }
}
