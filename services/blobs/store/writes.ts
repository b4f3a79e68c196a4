/** What writers of blobs change in the catalogue. What comes while a transaction is under way goes into the next one, together. */
import { lockRing } from "../../../mixins/database/ring-lock.ts";
import { transaction, type Database } from "../../../mixins/database/sql.ts";
import { failure } from "../../kernel/errors.ts";
import { CHUNK_BYTES_MAX } from "../../kernel/limits.ts";
import type { BlobManifest, SizedChunk } from "../contract.ts";
import { Together } from "../domain/together.ts";
import { assertInTime, insertBlobs } from "./blobs.ts";
import { leaseChunks } from "./chunks.ts";
import { type MissingCopy, noteMissing } from "./copies.ts";

/** Writes in one transaction: a statement costs as much as ten rows more. */
const TOGETHER_MAX = 32;
/** 64 chunks: 32 such blobs lock no more rows than one that is allowed to be committed at all. */
const SMALL_BYTES_MAX = 64 * CHUNK_BYTES_MAX;
/** Longer than a statement may take, and shorter than callers wait: a connection that was cut says nothing at all, and others wait behind it. */
const ANSWER_MS = 8000;

interface Draft extends BlobManifest {
  readonly epoch: number;
  readonly leasedAt: string;
  readonly missing: readonly MissingCopy[];
}

export class Writes {
  readonly #db: Database;
  readonly #graceSeconds: number;
  readonly #leases: Together<readonly SizedChunk[], { leasedAt: string }>;
  readonly #commits: Together<Draft, undefined>;

  constructor(db: Database, graceSeconds: number) {
    this.#db = db;
    this.#graceSeconds = graceSeconds;
    this.#leases = new Together(TOGETHER_MAX, async (lists) => {
      const leasedAt = await inTime(leaseChunks(this.#db, lists.flat()));
      return lists.map(() => ({ leasedAt }));
    });
    this.#commits = new Together(TOGETHER_MAX, async (drafts) => {
      await inTime(this.#commitAll(drafts));
      return drafts.map(() => undefined);
    });
  }

  /** Fails as blobs.lease does. */
  async lease(chunks: readonly SizedChunk[]): Promise<{ leasedAt: string }> {
    return await this.#leases.ask(chunks);
  }

  /** Fails as blobs.commit does. */
  async commit(draft: Draft): Promise<void> {
    // A long one makes nobody wait.
    if (draft.size > SMALL_BYTES_MAX) await this.#commitAll([draft]);
    else await this.#commits.ask(draft);
  }

  /** In one transaction: all, or none. */
  async #commitAll(drafts: readonly Draft[]): Promise<void> {
    const missing = drafts.flatMap((draft) => draft.missing);
    await transaction(this.#db, async (tx) => {
      await lockRing(tx, "shared");
      await assertInTime(tx, drafts, this.#graceSeconds);
      await insertBlobs(tx, drafts);
      await noteMissing(tx, missing);
    });
  }
}

/** DATABASE_UNAVAILABLE when no answer comes: what was asked for may have happened. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(failure("DATABASE_UNAVAILABLE", "The database does not answer.")), ANSWER_MS);
  // When it loses, nobody asks how it ended.
  work.catch(() => undefined);
  return await Promise.race([work, late]).finally(() => clearTimeout(timer));
}
