/** People who upload, watch and delete while things break, and what they were told: the history that the end is checked against. */
import { createHash, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../../services/ring/domain/random.ts";
import { segmentAddresses } from "../../test/support/client.ts";

/** A request that is not answered by then counts as failed. */
const PATIENCE_MS = 30_000;
/** As a client waits that is told to come again. */
const RETRY_MS = 1000;
/** For an upload to be acknowledged: longer than anything is broken. */
const UPLOAD_MS = 120_000;
const UPLOADERS = 2;
const VIEWERS = 3;
/** Above, something is deleted. */
const KEPT = 15;
/** Between two things that one of them does, at most. Uploads come no faster than two cores convert them beside all else, or nobody would have anything to watch. */
const PAUSE_MS = { upload: 12_000, other: 1500 };

/** A file that is uploaded, and how many frames it has. */
export interface Source {
  readonly bytes: Buffer;
  readonly frames: number;
}

export interface KeptVideo {
  readonly id: string;
  readonly title: string;
  readonly source: Source;
}

export class People {
  /** Acknowledged, and their deletion was not begun. */
  readonly kept = new Map<string, KeptVideo>();
  /** Acknowledged as deleted. */
  readonly deleted = new Set<string>();
  /** Uploads of which nobody was told how they ended. */
  readonly unknown = new Set<string>();
  readonly counts: Record<string, number> = {};
  readonly violations: string[] = [];
  /** SHA-256 of what an address of a segment has shown: it never shows anything else. */
  readonly #seen = new Map<string, string>();
  readonly #gateways: readonly string[];
  readonly #sources: readonly Source[];
  readonly #random: Random;
  readonly #ending = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  constructor(gateways: readonly string[], sources: readonly Source[], random: Random) {
    this.#gateways = gateways;
    this.#sources = sources;
    this.#random = random;
  }

  start(): void {
    const steps = [
      ...Array.from({ length: UPLOADERS }, () => ({ step: async () => await this.#upload(), pauseMs: PAUSE_MS.upload })),
      ...Array.from({ length: VIEWERS }, () => ({ step: async () => await this.#watch(), pauseMs: PAUSE_MS.other })),
      { step: async () => await this.#delete(), pauseMs: PAUSE_MS.upload },
    ];
    this.#running = Promise.all(steps.map(async ({ step, pauseMs }) => await this.#again(step, pauseMs)));
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #again(step: () => Promise<void>, pauseMs: number): Promise<void> {
    while (!this.#ending.signal.aborted) {
      await step();
      await sleep(this.#random() * pauseMs, undefined, { signal: this.#ending.signal }).catch(() => undefined);
    }
  }

  /** The same upload until it is acknowledged: whatever was lost on the way, there is one video of it. */
  async #upload(): Promise<void> {
    const title = `chaos-${randomUUID()}`;
    const source = this.#one(this.#sources);
    const headers = { "Content-Type": "video/mp4", "X-Filename": "chaos.mp4", "Idempotency-Key": title };
    const until = Date.now() + UPLOAD_MS;
    while (Date.now() < until) {
      const answer = await this.#ask(`/api/v1/videos/upload?title=${encodeURIComponent(title)}`, {
        method: "POST",
        headers,
        body: source.bytes,
      });
      if (answer?.status === 202) {
        const { id } = (JSON.parse(answer.body.toString()) as { data: { id: string } }).data;
        this.kept.set(id, { id, title, source });
        return this.#count("uploads acknowledged");
      }
      if (answer && answer.status < 500)
        return void this.violations.push(`an upload was answered ${answer.status}: ${answer.body.toString()}`);
      this.#count("uploads tried again");
      await sleep(RETRY_MS);
    }
    this.unknown.add(title);
  }

  async #watch(): Promise<void> {
    const video = this.#one([...this.kept.values()]);
    if (!video) return;
    const gateway = this.#one(this.#gateways);
    const addresses = await segmentAddresses(`${gateway}/api/v1/videos/${video.id}/master.m3u8`).catch(() => undefined);
    if (!addresses) return this.#count("manifests that could not be had");
    for (const address of addresses) await this.#segment(video, address);
    this.#count("videos watched");
  }

  /** Asked once more, of any gateway, when the first answer is none: what a player does. */
  async #segment({ id }: KeptVideo, address: string): Promise<void> {
    const { pathname } = new URL(address);
    const first = await this.#ask(pathname);
    const answer = first && first.status < 500 ? first : await this.#later(pathname);
    if (answer?.status === 200) return this.#compare(pathname, answer.body);
    if (answer?.status === 404 && this.kept.has(id)) this.violations.push(`${pathname} of a video that is kept is not found`);
    this.#count("segments that could not be had with one retry");
  }

  async #later(path: string): Promise<{ status: number; body: Buffer } | undefined> {
    this.#count("segments asked for twice");
    await sleep(RETRY_MS);
    return await this.#ask(path);
  }

  #compare(path: string, body: Buffer): void {
    const digest = createHash("sha256").update(body).digest("hex");
    const before = this.#seen.get(path) ?? digest;
    if (before !== digest) this.violations.push(`${path} has shown other bytes`);
    this.#seen.set(path, digest);
    this.#count("segments watched");
  }

  async #delete(): Promise<void> {
    const [first] = this.kept.values();
    if (!first || this.kept.size <= KEPT * this.#random()) return;
    this.kept.delete(first.id);
    while (!this.#ending.signal.aborted || this.#random() < 0.9) {
      const answer = await this.#ask(`/api/v1/videos/${first.id}?purge=true`, { method: "DELETE" });
      if (answer?.status === 204 || answer?.status === 404) {
        this.deleted.add(first.id);
        return this.#count("videos deleted");
      }
      await sleep(RETRY_MS);
    }
    this.unknown.add(first.title);
  }

  async #ask(
    path: string,
    init: { method?: string; headers?: Record<string, string>; body?: Buffer } = {},
  ): Promise<{ status: number; body: Buffer } | undefined> {
    try {
      const { body, ...rest } = init;
      const sent = body === undefined ? {} : { body: new Uint8Array(body) };
      const response = await fetch(`${this.#one(this.#gateways)}${path}`, { ...rest, ...sent, signal: AbortSignal.timeout(PATIENCE_MS) });
      const read = Buffer.from(await response.arrayBuffer());
      if (response.status >= 500 && response.status !== 503)
        this.violations.push(`${path} answered ${response.status}: ${read.toString().slice(0, 300)}`);
      return { status: response.status, body: read };
    } catch {
      return undefined;
    }
  }

  #one<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)]!;
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }
}
