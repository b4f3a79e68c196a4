/** People who upload, watch and delete while things break, and what they were told: the history that the end is checked against. */
import { createHash, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../../services/ring/domain/random.ts";
import { segmentAddresses } from "../../test/support/client.ts";
import { another } from "../../test/support/media.ts";

/** A request that is not answered by then counts as failed. */
const PATIENCE_MS = 30_000;
/** As a client waits that is told to come again. */
const RETRY_MS = 1000;
/** Whatever is asked for again and again is there by then: longer than anything is broken. */
const AT_LAST_MS = 120_000;
/** From its acknowledgement until a video is ready, while all else breaks: leases run out twice, and others wait before it. */
const READY_MS = 300_000;
const UPLOADERS = 2;
const VIEWERS = 3;
const DELETERS = 2;
/** Above, something is deleted. */
const KEPT = 20;
/** Of uploads, those of a file that was uploaded before: it is not converted again. */
const SAME = 0.15;
/** Of deletions, those of a video that nobody has looked at: it may still be in the making. */
const UNSEEN = 0.3;
/** Between two things that one of them does, at most. Uploads come no faster than two cores convert them beside all else, or nobody would have anything to watch. */
const PAUSE_MS = { upload: 14_000, delete: 14_000, watch: 1500 };

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

interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

interface Asked {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer;
}

const isAnswered = (answer: Answer | undefined): boolean => answer !== undefined && answer.status < 500;

/** What a video's document says of it; anything else that is no failure of the moment is told as it is. */
function stateIn(answer: Answer | undefined): string {
  if (!answer || !isAnswered(answer)) return "unknown";
  if (answer.status !== 200) return `answered with ${answer.status}`;
  return (JSON.parse(answer.body.toString()) as { data: { status: string } }).data.status;
}

/** So many who do the same. */
const many = (count: number, step: () => Promise<void>, pauseMs: number) => Array.from({ length: count }, () => ({ step, pauseMs }));

export class People {
  /** Acknowledged, and their deletion was not begun. */
  readonly kept = new Map<string, KeptVideo>();
  /** Acknowledged as deleted. */
  readonly deleted = new Set<string>();
  /** Uploads and deletions of which nobody was told how they ended. */
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
      ...many(UPLOADERS, async () => await this.upload(), PAUSE_MS.upload),
      ...many(VIEWERS, async () => await this.#watch(), PAUSE_MS.watch),
      ...many(DELETERS, async () => await this.#delete(), PAUSE_MS.delete),
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
  async upload(): Promise<void> {
    const title = `chaos-${randomUUID()}`;
    const source = this.#one(this.#sources);
    const body = this.#random() < SAME ? source.bytes : another(source.bytes);
    const headers = { "Content-Type": "video/mp4", "X-Filename": "chaos.mp4", "Idempotency-Key": title };
    const path = `/api/v1/videos/upload?title=${encodeURIComponent(title)}`;
    const answer = await this.#atLast(path, { method: "POST", headers, body }, "uploads tried again");
    if (answer?.status === 202) {
      const { id } = (JSON.parse(answer.body.toString()) as { data: { id: string } }).data;
      this.kept.set(id, { id, title, source });
      return this.#count("uploads acknowledged");
    }
    this.unknown.add(title);
    this.violations.push(`an upload ended with ${answer ? `${answer.status}: ${answer.body.toString()}` : "no answer"}`);
  }

  async #watch(): Promise<void> {
    const video = this.#one([...this.kept.values()]);
    if (!video) return;
    const addresses = await this.#addresses(video);
    if (!addresses) return;
    let missing = 0;
    for (const address of addresses) if (!(await this.#segment(video, address))) missing++;
    this.#count(missing === 0 ? "videos watched" : "videos watched with gaps");
  }

  /** Undefined when there is nothing to be watched yet, or nobody to say so. */
  async #addresses(video: KeptVideo): Promise<readonly string[] | undefined> {
    let isEarly = false;
    const text = async (address: string): Promise<string> => {
      const answer = await this.#askTwice(new URL(address).pathname, "playlists asked for twice");
      isEarly ||= answer?.status === 409;
      if (answer?.status === 200) return answer.body.toString();
      this.#missing(video, address, answer, [409]);
      throw new Error("no playlist");
    };
    try {
      return await segmentAddresses(`${this.#gateways[0]}/api/v1/videos/${video.id}/master.m3u8`, text);
    } catch {
      this.#count(isEarly ? "videos that could not be watched yet" : "playlists that could not be had with one retry");
      return undefined;
    }
  }

  /** Asked once more, of any gateway, when the first answer is none: what a player does. Answers whether it came. */
  async #segment(video: KeptVideo, address: string): Promise<boolean> {
    const { pathname } = new URL(address);
    const answer = await this.#askTwice(pathname, "segments asked for twice");
    if (answer?.status === 200) {
      this.#compare(pathname, answer.body);
      return true;
    }
    this.#missing(video, address, answer);
    this.#count("segments that could not be had with one retry");
    return false;
  }

  /** What is kept may be late, but it is never said not to be. */
  #missing({ id }: KeptVideo, address: string, answer: Answer | undefined, expected: readonly number[] = []): void {
    if (!answer || answer.status === 503 || expected.includes(answer.status)) return;
    if (this.kept.has(id)) this.violations.push(`${address} of a video that is kept answered ${answer.status}`);
  }

  #compare(path: string, body: Buffer): void {
    const digest = createHash("sha256").update(body).digest("hex");
    const before = this.#seen.get(path) ?? digest;
    if (before !== digest) this.violations.push(`${path} has shown other bytes`);
    this.#seen.set(path, digest);
    this.#count("segments watched");
  }

  /** Most are looked at first, as nobody can afterwards. */
  async #delete(): Promise<void> {
    const [first] = this.kept.values();
    if (!first || this.kept.size <= KEPT * this.#random()) return;
    this.kept.delete(first.id);
    if (this.#random() >= UNSEEN) await this.#lookAtWhole(first);
    const attempts: (Answer | undefined)[] = [];
    await this.#atLast(`/api/v1/videos/${first.id}?purge=true`, { method: "DELETE" }, "deletions tried again", attempts);
    const status = attempts.at(-1)?.status;
    // Who was not told that it is done does it again, and finds it done.
    if (status === 204 || (status === 404 && attempts.length > 1)) {
      this.deleted.add(first.id);
      return this.#count("videos deleted");
    }
    this.unknown.add(first.title);
    this.violations.push(`the deletion of ${first.id}, which was acknowledged, ended with ${status ?? "no answer"}`);
  }

  /** It becomes ready, and then every segment of it comes, sooner or later. */
  async #lookAtWhole({ id }: KeptVideo): Promise<void> {
    const state = await this.#stateAtLast(id);
    if (state !== "ready") return void this.violations.push(`${id} was acknowledged, and before its deletion it is ${state}`);
    await this.#everySegment(id);
    this.#count("videos looked at whole before their deletion");
  }

  async #stateAtLast(id: string): Promise<string> {
    const until = Date.now() + READY_MS;
    for (;;) {
      const state = stateIn(await this.#ask(`/api/v1/videos/${id}`));
      if (!["unknown", "queued", "processing"].includes(state) || Date.now() > until) return state;
      await sleep(RETRY_MS);
    }
  }

  async #everySegment(id: string): Promise<void> {
    const text = async (address: string): Promise<string> => (await this.#mustHave(new URL(address).pathname)).toString();
    const addresses = await segmentAddresses(`${this.#gateways[0]}/api/v1/videos/${id}/master.m3u8`, text);
    for (const address of addresses) {
      const { pathname } = new URL(address);
      this.#compare(pathname, await this.#mustHave(pathname));
    }
  }

  async #mustHave(path: string): Promise<Buffer> {
    const answer = await this.#atLast(path, {}, "asked again for a video that is looked at whole");
    if (answer?.status !== 200) this.violations.push(`${path} of a video that is ready ended with ${answer?.status ?? "no answer"}`);
    return answer?.body ?? Buffer.alloc(0);
  }

  async #askTwice(path: string, counted: string): Promise<Answer | undefined> {
    const first = await this.#ask(path);
    if (isAnswered(first)) return first;
    this.#count(counted);
    await sleep(RETRY_MS);
    return await this.#ask(path);
  }

  /** Again and again until it is answered; undefined when it never is. `attempts` is filled with what each came to. */
  async #atLast(path: string, init: Asked, counted: string, attempts: (Answer | undefined)[] = []): Promise<Answer | undefined> {
    const until = Date.now() + AT_LAST_MS;
    while (Date.now() < until) {
      const answer = await this.#ask(path, init);
      attempts.push(answer);
      if (isAnswered(answer)) return answer;
      this.#count(counted);
      await sleep(RETRY_MS);
    }
    return undefined;
  }

  async #ask(path: string, init: Asked = {}): Promise<Answer | undefined> {
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
