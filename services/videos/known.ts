/** Videos that are asked for. Those of the same moment are read in one statement: of fifty, each costs a tenth of what it costs alone. */
import { LRUCache } from "lru-cache";
import type { Database } from "../../mixins/database/sql.ts";
import type { Video } from "./contract.ts";
import { isSettled } from "./domain/lifecycle.ts";
import { describe } from "./store/described.ts";
import { workOn } from "./store/read.ts";
import { statusOf, videoOf } from "./store/views.ts";

/** A statement of so many takes some 10 ms. */
const TOGETHER_MAX = 100;
/** How long one is remembered on which nobody works, where no change is made elsewhere: then only its views are told as late. */
const SETTLED_MS = 30_000;
/** Some 8000 videos: what a list of them shows costs nothing as long as it stays the same. */
const BYTES_MAX = 16 * 1024 * 1024;
/** Without its description. */
const VIDEO_BYTES = 2000;

interface Gathering {
  readonly ids: Set<string>;
  readonly found: Promise<ReadonlyMap<string, Video | Promise<Video>>>;
}

export class KnownVideos {
  readonly #db: Database;
  readonly #settled: LRUCache<string, Video> | undefined;
  #next: Gathering | undefined;
  /** What was read while something changed may be as it was before. */
  #changes = 0;

  /** `losesEvents`: a change may be made in another process. Then nothing is remembered. */
  constructor(db: Database, { losesEvents }: { readonly losesEvents: boolean }) {
    this.#db = db;
    if (losesEvents) return;
    this.#settled = new LRUCache({
      ttl: SETTLED_MS,
      maxSize: BYTES_MAX,
      sizeCalculation: ({ description }) => VIDEO_BYTES + 2 * description.length,
    });
  }

  /** As it is after the question, but for its views. Undefined when there is none. */
  async find(id: string): Promise<Video | undefined> {
    const known = this.#settled?.get(id);
    if (known) return known;
    this.#next ??= this.#gather();
    const { ids, found } = this.#next;
    ids.add(id);
    if (ids.size === TOGETHER_MAX) this.#next = undefined;
    return (await found).get(id);
  }

  /** Those of them that there are, in this order; those in the trash, too. */
  async all(ids: readonly string[]): Promise<readonly Video[]> {
    const found = await Promise.all(ids.map(async (id) => await this.find(id)));
    return found.filter((video) => video !== undefined);
  }

  /** It changed; without an id, others did. */
  forget(id?: string): void {
    this.#changes++;
    if (id === undefined) this.#settled?.clear();
    else this.#settled?.delete(id);
  }

  /** What is asked for until the event loop comes round. */
  #gather(): Gathering {
    const ids = new Set<string>();
    const round = new Promise<void>((resolve) => setImmediate(resolve));
    const found = round.then(async () => {
      if (this.#next?.ids === ids) this.#next = undefined;
      return await this.#read([...ids]);
    });
    return { ids, found };
  }

  /** Who asks for one that is ready does not wait for what is told of the work on others. */
  async #read(ids: readonly string[]): Promise<ReadonlyMap<string, Video | Promise<Video>>> {
    const asOf = { changes: this.#changes, start: performance.now() };
    const rows = await describe(this.#db, ids);
    const unready = rows.map((row) => ({ id: row.id, status: statusOf(row) })).filter(({ status }) => status !== "ready");
    const working = workOn(this.#db, unready);
    return new Map(
      rows.map((row): [string, Video | Promise<Video>] => {
        if (statusOf(row) === "ready") return [row.id, this.#keep(videoOf(row), asOf)];
        return [row.id, working.then((work) => this.#keep(videoOf(row, work.get(row.id)), asOf))];
      }),
    );
  }

  #keep(video: Video, { changes, start }: { readonly changes: number; readonly start: number }): Video {
    if (changes === this.#changes && isSettled(video, Date.now())) this.#settled?.set(video.id, video, { start });
    return video;
  }
}
