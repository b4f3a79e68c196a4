/**
 * The rows of PostgreSQL that the storage protocol stands on. Each method is an action of blobs (services/blobs/contract.ts) as one step, with the
 * conditions of its SQL. test/integration/storage-model.test.ts runs the same calls against this and against the service, and compares the answers.
 */
import { createHash } from "node:crypto";
import type { BlobManifest, KnownChunk, SizedChunk } from "../../services/blobs/contract.ts";
import { distinctChunks } from "../../services/blobs/domain/manifest.ts";
import { addToDigests, DIGEST_BYTES, emptyDigests } from "../../services/kernel/digests.ts";
import { failure } from "../../services/kernel/errors.ts";
import type { Rules } from "./rules.ts";

interface ChunkRow {
  readonly size: number;
  refs: number;
  leaving: boolean;
  touchedAt: number;
}

interface BlobRow {
  readonly size: number;
  readonly chunks: Uint8Array;
  touchedAt: number | null;
}

interface MissingRow {
  readonly disk: string;
  readonly chunk: string;
  readonly size: number;
  attempts: number;
  runAt: number;
}

interface CopyOf {
  readonly chunk: string;
  readonly disk: string;
}

interface CopiesOfDisk {
  readonly disk: string;
  readonly chunks: readonly string[];
}

interface Surroundings {
  readonly rules: Rules;
  readonly graceMs: number;
  /** How long a copy that was taken is nobody else's. */
  readonly heldMs: number;
  /** Milliseconds. */
  now(): number;
  /** Told of each chunk that begins to leave. */
  leaves?(chunk: string): void;
  /** Told of the chunks of each blob that is committed, and since when they were leased. */
  commits?(chunks: readonly string[], leasedAtMs: number): void;
}

export class Rows {
  readonly chunks = new Map<string, ChunkRow>();
  readonly blobs = new Map<string, BlobRow>();
  /** Rows of other tables that name a blob: id → blob. */
  readonly references = new Map<string, string>();
  readonly missing = new Map<string, MissingRow>();
  /** Of the newest ring. */
  epoch = 0;
  readonly #at: Surroundings;

  constructor(at: Surroundings) {
    this.#at = at;
  }

  lease({ chunks }: { readonly chunks: readonly SizedChunk[] }): { leasedAt: string } {
    if (this.#at.rules.lease) {
      const staying = chunks.filter(({ chunk }) => !this.chunks.get(chunk)?.leaving);
      for (const { chunk, size } of staying) this.#touch(chunk, size);
      if (staying.length < chunks.length) throw failure("CHUNK_LEAVING", "A chunk is being deleted.");
    }
    return { leasedAt: new Date(this.#at.now()).toISOString() };
  }

  commit(blob: {
    readonly epoch: number;
    readonly size: number;
    readonly chunks: Uint8Array;
    readonly leasedAt: string;
    readonly missing: readonly CopyOf[];
  }): { blob: string } {
    const { rules, graceMs } = this.#at;
    if (rules.epochCheck && blob.epoch < this.epoch) throw failure("DISK_STALE_EPOCH", `The ring is at epoch ${this.epoch}.`);
    const isOver = Date.parse(blob.leasedAt) <= this.#at.now() - graceMs;
    if (rules.leaseEnds && isOver) throw failure("CHUNK_NOT_LEASED", "The lease is over.");
    const name = this.#insert(blob);
    this.#at.commits?.(namesIn(blob.chunks), Date.parse(blob.leasedAt));
    if (rules.missingCopies) this.reportMissing({ copies: blob.missing });
    return { blob: name };
  }

  concat({ parts }: { readonly parts: readonly string[] }): { blob: string; size: number } {
    const found = parts.map((blob) => this.get({ blob }));
    const size = found.reduce((sum, part) => sum + part.size, 0);
    return { blob: this.#insert({ size, chunks: Buffer.concat(found.map(({ chunks }) => chunks)) }), size };
  }

  get({ blob }: { readonly blob: string }): BlobManifest {
    const row = this.blobs.get(blob);
    if (!row) throw failure("BLOB_NOT_FOUND", `There is no blob ${blob}.`);
    return { blob, size: row.size, chunks: row.chunks };
  }

  /** Makes a row of another table that names the blob. BLOB_NOT_FOUND. */
  name(id: string, blob: string): void {
    this.get({ blob });
    this.references.set(id, blob);
  }

  /** Deletes such a row. */
  unname(id: string): void {
    const row = this.blobs.get(this.references.get(id) ?? "");
    this.references.delete(id);
    if (row) row.touchedAt = this.#at.now();
  }

  reportMissing({ copies }: { readonly copies: readonly CopyOf[] }): null {
    for (const { chunk, disk } of copies) {
      const size = this.chunks.get(chunk)?.size;
      const key = `${disk}:${chunk}`;
      if (size !== undefined && !this.missing.has(key)) this.missing.set(key, { disk, chunk, size, attempts: 0, runAt: this.#at.now() });
    }
    return null;
  }

  chunksIn(page: { bits: number; partition: number; after?: string | undefined; limit: number }): KnownChunk[] {
    const isIn = (chunk: string): boolean => partitionOf(chunk, page.bits) === page.partition && chunk > (page.after ?? "");
    const names = [...this.chunks.keys()].filter(isIn).toSorted().slice(0, page.limit);
    return this.known({ chunks: names });
  }

  digests({ bits, first, last }: { readonly bits: number; readonly first: number; readonly last: number }): Uint8Array {
    const digests = emptyDigests(bits);
    for (const chunk of this.chunks.keys()) addToDigests(digests, bits, Buffer.from(chunk, "hex"));
    return digests.subarray(first * DIGEST_BYTES, (last + 1) * DIGEST_BYTES);
  }

  known({ chunks }: { readonly chunks: readonly string[] }): KnownChunk[] {
    return chunks.flatMap((chunk) => {
      const row = this.chunks.get(chunk);
      return row ? [{ chunk, size: row.size, needed: row.refs > 0, leaving: row.leaving }] : [];
    });
  }

  dueRepairs({ disk, limit }: { readonly disk: string; readonly limit: number }): SizedChunk[] {
    const now = this.#at.now();
    const due = [...this.missing.values()].filter((row) => row.disk === disk && row.runAt <= now).slice(0, limit);
    for (const row of due) Object.assign(row, { attempts: row.attempts + 1, runAt: now + this.#at.heldMs });
    return due.map(({ chunk, size }) => ({ chunk, size }));
  }

  repaired({ disk, chunks }: CopiesOfDisk): null {
    for (const chunk of chunks) this.missing.delete(`${disk}:${chunk}`);
    return null;
  }

  repairFailed({ disk, chunks }: CopiesOfDisk): null {
    for (const chunk of chunks) {
      const row = this.missing.get(`${disk}:${chunk}`);
      if (row) row.runAt = this.#at.now();
    }
    return null;
  }

  collect(): { blobs: number; chunks: number; more: boolean } {
    const before = this.#at.now() - (this.#at.rules.grace ? this.#at.graceMs : 0);
    const named = new Set(this.references.values());
    const old = [...this.blobs].filter(([, { touchedAt }]) => touchedAt !== null && touchedAt < before);
    for (const [blob, row] of old) {
      if (named.has(blob)) row.touchedAt = null;
      else this.#release(blob, row);
    }
    const unneeded = [...this.chunks].filter(([, { refs, leaving, touchedAt }]) => refs === 0 && !leaving && touchedAt < before);
    for (const [chunk, row] of unneeded) {
      row.leaving = true;
      this.#at.leaves?.(chunk);
    }
    const blobs = old.filter(([blob]) => !named.has(blob)).length;
    return { blobs, chunks: unneeded.length, more: old.length > 0 };
  }

  leaving({ after, limit }: { readonly after?: string | undefined; readonly limit: number }): SizedChunk[] {
    const rows = [...this.chunks]
      .filter(([chunk, { leaving }]) => leaving && chunk > (after ?? ""))
      .toSorted(([a], [b]) => (a < b ? -1 : 1));
    return rows.slice(0, limit).map(([chunk, { size }]) => ({ chunk, size }));
  }

  areLeaving({ chunks }: { readonly chunks: readonly string[] }): string[] {
    return this.#at.rules.leaving ? chunks.filter((chunk) => this.chunks.get(chunk)?.leaving) : [...chunks];
  }

  left({ chunks }: { readonly chunks: readonly string[] }): null {
    for (const chunk of chunks) {
      if (!this.chunks.get(chunk)?.leaving) continue;
      this.chunks.delete(chunk);
      for (const [key, row] of this.missing) if (row.chunk === chunk) this.missing.delete(key);
    }
    return null;
  }

  /** Answers the name of the blob. CHUNK_NOT_LEASED. */
  #insert({ size, chunks }: { readonly size: number; readonly chunks: Uint8Array }): string {
    const blob = nameOf(size, chunks);
    const there = this.blobs.get(blob);
    if (there) {
      there.touchedAt = this.#at.now();
      return blob;
    }
    const names = namesIn(chunks);
    if (!this.#at.rules.lease) for (const chunk of names) this.#touch(chunk, size);
    const rows = names.map((chunk) => this.chunks.get(chunk));
    if (rows.some((row) => row === undefined || row.leaving)) throw failure("CHUNK_NOT_LEASED", "A chunk is not there any more.");
    for (const row of rows) row!.refs++;
    this.blobs.set(blob, { size, chunks, touchedAt: this.#at.now() });
    return blob;
  }

  #release(blob: string, { chunks }: BlobRow): void {
    this.blobs.delete(blob);
    for (const name of namesIn(chunks)) {
      const row = this.chunks.get(name)!;
      row.refs--;
      row.touchedAt = this.#at.now();
    }
  }

  #touch(chunk: string, size: number): void {
    const row = this.chunks.get(chunk);
    if (row) Object.assign(row, { touchedAt: this.#at.now(), leaving: false });
    else this.chunks.set(chunk, { size, refs: 0, leaving: false, touchedAt: this.#at.now() });
  }
}

function namesIn(chunks: Uint8Array): string[] {
  return distinctChunks(chunks).map((name) => name.toString("hex"));
}

function partitionOf(chunk: string, bits: number): number {
  return Number.parseInt(chunk.slice(0, 4), 16) >>> (16 - bits);
}

/** As blobName, of chunks of any length: those of a run are short. */
function nameOf(size: number, chunks: Uint8Array): string {
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(size));
  return createHash("sha256").update(length).update(chunks).digest("hex");
}
