/**
 * How often each may ask. Every gateway counts in memory, so that a request costs no query, and tells the others once a second through the
 * database: until then, each of several gateways admits what it alone would.
 */
import type { ServerResponse } from "node:http";
import { LRUCache } from "lru-cache";
import { repeat, type Repeated } from "../../mixins/repeat.ts";
import { failure } from "../kernel/errors.ts";
import { call, type Caller } from "../kernel/rpc.ts";
import { limits, SPENDING_BATCH_MAX } from "../limits/contract.ts";
import type { LimitClass } from "./dispatch.ts";
import { pour, type Bucket, type Quota } from "./domain/bucket.ts";

/** Counts of a minute each. A page that shows a list and watches it being processed asks twice a second; a player of 2 s segments in two renditions, likewise. */
export const quotas: Readonly<Record<Exclude<LimitClass, "none"> | "credentials", Quota>> = {
  read: { requests: 600, seconds: 60 },
  write: { requests: 120, seconds: 60 },
  upload: { requests: 60, seconds: 60 },
  // Of an upload that can be resumed: clients send pieces of a few megabytes, and take a refusal for the end.
  part: { requests: 3000, seconds: 60 },
  // A player tells twice or six times a minute.
  beat: { requests: 600, seconds: 60 },
  // A household behind one address, jumping about.
  media: { requests: 6000, seconds: 60 },
  // Each may be an ffmpeg and a blob on every disk of its owners: somebody who looks through a video asks twice a second.
  still: { requests: 120, seconds: 60 },
  // Beside the limits on wrong passwords, which are the database's (services/users/sign-in.ts).
  signIn: { requests: 30, seconds: 60 },
  // Wrong tokens: one costs a query.
  credentials: { requests: 60, seconds: 60 },
};

const TELL_MS = 1000;
/** About 150 bytes each. Whoever has more addresses than this does not need the limits of one. */
const BUCKETS_MAX = 50_000;

export class RateLimits {
  readonly #caller: Caller;
  readonly #buckets = new LRUCache<string, Bucket>({ max: BUCKETS_MAX });
  readonly #untold = new Set<string>();
  readonly #on: boolean;
  #telling: Repeated | undefined;

  constructor(caller: Caller, on: boolean) {
    this.#caller = caller;
    this.#on = on;
  }

  /** While the shared count cannot be reached, each gateway goes on with its own. Told once, until it can. */
  start(onSilence: (error: unknown) => void): void {
    let silent = false;
    const tell = async (): Promise<void> => {
      await this.#tell();
      silent = false;
    };
    const onError = (error: unknown): void => {
      if (!silent) onSilence(error);
      silent = true;
    };
    if (this.#on) this.#telling = repeat(TELL_MS, tell, onError);
  }

  async stop(): Promise<void> {
    await this.#telling?.stop();
  }

  /** Counts a request, says in its headers what is left, and refuses it with RATE_LIMITED when nothing is. */
  admit(limit: LimitClass | "credentials", who: () => string, res: ServerResponse): void {
    if (!this.#on || limit === "none") return;
    const quota = quotas[limit];
    const { admitted, remaining, waitS } = pour(this.#bucket(`${limit}/${who()}`), quota, performance.now());
    res.setHeader("RateLimit-Policy", `"${limit}";q=${quota.requests};w=${quota.seconds}`);
    res.setHeader("RateLimit", `"${limit}";r=${remaining};t=${waitS}`);
    if (admitted) return;
    const detail = `At most ${quota.requests} such requests in ${quota.seconds} s: ask again in ${waitS} s.`;
    throw failure("RATE_LIMITED", detail, { data: { retryAfterS: waitS } });
  }

  #bucket(key: string): Bucket {
    const bucket = this.#buckets.get(key) ?? { emptyAt: 0, untold: 0 };
    this.#buckets.set(key, bucket);
    this.#untold.add(key);
    return bucket;
  }

  /** What was poured in here is added there; how full it is there, with what others poured, is how full it is here. */
  async #tell(): Promise<void> {
    const keys = [...this.#untold].slice(0, SPENDING_BATCH_MAX);
    for (const key of keys) this.#untold.delete(key);
    const spent = keys.flatMap((key) => {
      const bucket = this.#buckets.peek(key);
      return bucket && bucket.untold > 0 ? [{ key, costMs: bucket.untold, bucket }] : [];
    });
    if (spent.length === 0) return;
    for (const { bucket } of spent) bucket.untold = 0;
    try {
      const levels = await call(this.#caller, limits.spend, { spent: spent.map(({ key, costMs }) => ({ key, costMs })) });
      const now = performance.now();
      for (const { key, aheadMs } of levels) {
        const bucket = this.#buckets.peek(key);
        if (bucket) bucket.emptyAt = now + aheadMs + bucket.untold;
      }
    } catch (error) {
      for (const { key, costMs, bucket } of spent) {
        bucket.untold += costMs;
        this.#untold.add(key);
      }
      throw error;
    }
  }
}
