/** What people do to the cluster of the soak, and what they were told: the history that everything is checked against. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import type { Random } from "../../services/ring/domain/random.ts";
import { bytesOf, digestOf, type Content } from "./content.ts";
import type { SoakNode } from "./processes.ts";

const WRITERS = 3;
const READERS = 2;
/** Above, something is deleted; the disks of the machine that this runs on are not for it alone. */
const KEPT = 120;
/** Numbers of the chunks that are shared: few, so that they come and go. */
const SHARED_CHUNKS = 4;
const LARGE_SHARE = 0.08;
const SMALL_BYTES_MAX = 600_000;
const PAUSE_MS = 60;

interface Kept {
  readonly video: string;
  readonly blob: string;
  readonly digest: string;
}

export class Load {
  /** Videos whose insertion was acknowledged, and whose deletion was not begun. */
  readonly kept = new Map<string, Kept>();
  readonly counts = { written: 0, bytes: 0, failedWrites: 0, read: 0, failedReads: 0, deleted: 0 };
  readonly violations: string[] = [];
  readonly #nodes: readonly SoakNode[];
  readonly #pool: Pool;
  readonly #random: Random;
  #ending = false;
  #running: Promise<unknown> = Promise.resolve();

  constructor(nodes: readonly SoakNode[], pool: Pool, random: Random) {
    this.#nodes = nodes;
    this.#pool = pool;
    this.#random = random;
  }

  start(): void {
    const loops = [
      ...Array.from({ length: WRITERS }, () => async () => await this.#write()),
      ...Array.from({ length: READERS }, () => async () => await this.#read()),
      async () => await this.#delete(),
    ];
    this.#running = Promise.all(loops.map(async (step) => await this.#loop(step)));
  }

  async stop(): Promise<void> {
    this.#ending = true;
    await this.#running;
  }

  /** What every kept blob holds, asked of one node. */
  async verify(): Promise<void> {
    for (const { blob, digest } of this.kept.values()) {
      const found = await this.#node()
        .ask<string>({ ask: "read", blob })
        .catch((error: unknown) => String(error));
      if (found !== digest) this.violations.push(`blob ${blob} was acknowledged, and at the end: ${found}`);
    }
  }

  async #loop(step: () => Promise<void>): Promise<void> {
    while (!this.#ending) {
      await step();
      await sleep(this.#random() * PAUSE_MS);
    }
  }

  #node(): SoakNode {
    const up = this.#nodes.filter((node) => node.up);
    return up[Math.floor(this.#random() * up.length)] ?? this.#nodes[0]!;
  }

  #content(): Content {
    const large = this.#random() < LARGE_SHARE;
    // Now and then the very content of before, so that what is just being deleted is wanted again.
    const tail = this.#random() < 0.3 ? `again ${Math.floor(this.#random() * 20)}` : randomUUID();
    const tailBytes = tail.startsWith("again") ? 50_000 : 1 + Math.floor(this.#random() * SMALL_BYTES_MAX);
    return { chunks: large ? [Math.floor(this.#random() * SHARED_CHUNKS)] : [], tail, tailBytes };
  }

  async #write(): Promise<void> {
    const content = this.#content();
    try {
      const { blob, size } = await this.#node().ask<{ blob: string; size: number }>({ ask: "write", content });
      const video = randomUUID();
      if (!(await this.#name(video, blob))) throw new Error("nobody named it in time");
      this.kept.set(video, { video, blob, digest: digestOf(bytesOf(content)) });
      this.counts.written += 1;
      this.counts.bytes += size;
    } catch {
      this.counts.failedWrites += 1;
    }
  }

  /** Whether the video is there for certain. Asks as long as the database does not answer. */
  async #name(video: string, blob: string): Promise<boolean> {
    const text = `insert into videos (id, title, filename, source_blob, source_size, status) values ($1, 't', 'f', decode($2, 'hex'), 1, 'queued') on conflict do nothing`;
    return await this.#surely(text, [video, blob]);
  }

  async #surely(text: string, values: readonly string[]): Promise<boolean> {
    for (;;) {
      try {
        await this.#pool.query(text, [...values]);
        return true;
      } catch (error) {
        // The blob is gone: it took longer to name it than the time of grace.
        if ((error as { code?: unknown }).code === "23503") return false;
        await sleep(200);
      }
    }
  }

  async #read(): Promise<void> {
    const all = [...this.kept.values()];
    const kept = all[Math.floor(this.#random() * all.length)];
    if (!kept) return;
    try {
      const digest = await this.#node().ask<string>({ ask: "read", blob: kept.blob });
      this.counts.read += 1;
      if (digest !== kept.digest) this.violations.push(`blob ${kept.blob} was read with other bytes`);
    } catch (error) {
      this.counts.failedReads += 1;
      const gone = /^Error: (?:BLOB|CHUNK)_NOT_FOUND$/.test(String(error));
      if (gone && this.kept.has(kept.video)) this.violations.push(`blob ${kept.blob} is kept, and a reader was told: ${String(error)}`);
    }
  }

  async #delete(): Promise<void> {
    if (this.kept.size <= KEPT * this.#random()) return;
    const [first] = this.kept.values();
    if (!first) return;
    this.kept.delete(first.video);
    await this.#surely("delete from videos where id = $1", [first.video]);
    this.counts.deleted += 1;
  }
}
