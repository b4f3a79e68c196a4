/** People, and the services before storage: they upload, read and delete, and remember what they were told. */
import { errorType } from "../../services/kernel/errors.ts";
import type { Life } from "./network.ts";
import type { SimulatedNode } from "./node.ts";
import type { Surroundings } from "./surroundings.ts";

/** What somebody was told is stored. */
export interface Stored {
  readonly blob: string;
  readonly chunks: readonly string[];
}

interface Upload {
  readonly node: Life;
  readonly since: number;
  /** None when it is made of what is stored. */
  readonly chunk?: string;
}

/** Where people live. */
export interface Place extends Surroundings {
  /** What people upload: name of the chunk → bytes. */
  readonly contents: ReadonlyMap<string, Buffer>;
  /** After this nobody waits for an upload any more. */
  readonly patienceMs: number;
  /** A node for a task; none when all have ended. */
  anyNode(): SimulatedNode | undefined;
  /** Runs something that nobody waits for. A mistake of a program ends the run. */
  start(work: Promise<unknown>): void;
  /** Looks whether what was acknowledged has the copies that were promised. */
  look(occasion: string): void;
}

const STAYS_AWAY_SHARE = 0.4;
const COMES_BACK_MS = 1500;

export class People {
  /** By the id of the row that names it: what has to be there. */
  readonly kept = new Map<string, Stored>();
  /** Uploads that have not ended. */
  readonly uploads = new Set<Upload>();
  /** What they were told is not there, and is. */
  readonly hidden: string[] = [];
  acknowledged = 0;
  readonly #world: Place;

  constructor(world: Place) {
    this.#world = world;
  }

  async actOnce(): Promise<void> {
    const node = this.#world.anyNode();
    if (!node) return;
    const kept = [...this.kept.keys()];
    const deed = this.#world.chance.between(0, kept.length > 0 ? 5 : 0);
    if (deed <= 1) await this.upload();
    else if (deed === 2) await this.#acknowledge({ node }, async () => await this.#concat(node));
    else if (deed === 3) await this.#read(node, this.#world.chance.one(kept));
    else await this.#delete(node, this.#world.chance.one(kept));
  }

  async #acknowledge(
    { node, chunk }: { readonly node: SimulatedNode; readonly chunk?: string },
    store: () => Promise<Stored>,
  ): Promise<void> {
    const { clock, rows, patienceMs } = this.#world;
    const id = `row-${clock.taken}`;
    const upload: Upload = { node, since: clock.now, ...(chunk !== undefined && { chunk }) };
    this.uploads.add(upload);
    // A node that ends leaves its uploads to nobody; after this, they are none.
    clock.after(patienceMs, () => this.uploads.delete(upload));
    try {
      const stored = await store();
      await node.query("name", () => rows.name(id, stored.blob));
      this.kept.set(id, stored);
      this.acknowledged++;
      this.#world.say(`${node.name} has stored ${stored.chunks.join()} as ${id}`);
      this.#world.look(`${id} was stored`);
    } finally {
      this.uploads.delete(upload);
    }
  }

  /** Somebody uploads this chunk, or any. */
  async upload(chunk?: string): Promise<void> {
    const node = this.#world.anyNode();
    if (node) await this.#store(node, chunk ?? this.#world.chance.one([...this.#world.contents.keys()]));
  }

  /** What a node has been given and not stored yet. */
  uploadsOf(node: Life): string[] {
    return [...this.uploads].flatMap((upload) => (upload.node === node && upload.chunk !== undefined ? [upload.chunk] : []));
  }

  /** Somebody uploads what is just being deleted: the moment at which most can go wrong. */
  comeBack(chunk: string): void {
    const { clock, chance } = this.#world;
    if (chance.of(STAYS_AWAY_SHARE)) return;
    clock.after(chance.delay(COMES_BACK_MS), () => this.#world.start(this.upload(chunk)));
  }

  async #store(node: SimulatedNode, chunk: string): Promise<void> {
    const bytes = this.#world.contents.get(chunk)!;
    await this.#acknowledge({ node, chunk }, async () => ({ blob: await node.put(bytes), chunks: [chunk] }));
  }

  /** Of two blobs that somebody keeps, one more. */
  async #concat(node: SimulatedNode): Promise<Stored> {
    const { chance, rows } = this.#world;
    const parts = [chance.one([...this.kept.values()]), chance.one([...this.kept.values()])];
    const { blob } = await node.query("concat", () => rows.concat({ parts: parts.map((part) => part.blob) }));
    return { blob, chunks: parts.flatMap(({ chunks }) => chunks) };
  }

  async #delete(node: SimulatedNode, id: string): Promise<void> {
    this.#world.say(`${node.name} deletes ${id}`);
    this.kept.delete(id);
    await node.query("unname", () => this.#world.rows.unname(id));
  }

  async #read(node: SimulatedNode, id: string): Promise<void> {
    for (const chunk of this.kept.get(id)!.chunks) {
      try {
        await node.read(chunk, this.#world.contents.get(chunk)!.length);
      } catch (error) {
        if (errorType(error) === "CHUNK_NOT_FOUND" && this.kept.has(id)) this.hidden.push(`${chunk} of ${id} at ${this.#world.clock.now}`);
      }
    }
  }
}
