/**
 * A bucket of S3, or of what speaks S3, as a disk. A chunk is one object; its SHA-256 goes along as the checksum that S3 verifies, and the sums of its
 * blocks as metadata, by which parts are verified. The bucket must keep versions: only so a delete takes away the very object that was looked at.
 * What a disk does by itself S3 does, or nobody: it scrubs, it has no trash, and it knows no epochs.
 */
import { createHash, randomUUID } from "node:crypto";
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import type { S3Access } from "../../../config/storage.ts";
import { BLOCK_BYTES, BlockSums } from "../../../proto/blocks.ts";
import { addToDigests, emptyDigests } from "../../../services/kernel/digests.ts";
import { errorType, failure } from "../../../services/kernel/errors.ts";
import { uuid } from "../../../services/kernel/schemas.ts";
import type { ChunkRange, ChunkUpload } from "../chunks.ts";
import type { ChunkLook, ChunkPage, DiskFacts, ListedChunk, ScrubFacts, StoredChunk } from "../facts.ts";
import type { Disk } from "../port.ts";
import { failureOf, statusOf } from "./failures.ts";
import { digitsOf, chunkKey, chunkOf, decodeSums, encodeSums, identityKey, isIn, quarantineKey } from "./objects.ts";

/** For a connection, and for an answer to begin. */
const CONNECT_MS = 3000;
const REQUEST_MS = 20_000;
/** Of one page of a list: S3's own limit. */
const PAGE_KEYS = 1000;
/** How often a chunk may vanish between being found and being touched. */
const PUT_ROUNDS = 3;
/** S3 names no limit: a share for the ring to reckon with, a pebibyte. */
const CAPACITY_BYTES = 2 ** 50;

const NOTHING = { files: 0, bytes: 0 };
const SCRUB: ScrubFacts = {
  oldestVerifiedAt: null,
  checkedChunks: 0,
  checkedBytes: 0,
  progress: 0,
  running: false,
  paused: false,
  bytesPerSecond: 0,
};

interface Place {
  /** s3://bucket or s3://bucket/prefix. */
  readonly address: string;
  readonly access: S3Access;
  readonly meant?: string;
  readonly over?: S3Client;
}

interface Found extends StoredChunk {
  readonly sums: string;
}

export class S3Disk implements Disk {
  readonly #place: Place;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #client: S3Client;
  #identity: Promise<string> | undefined;

  constructor(place: Place) {
    this.#place = place;
    const { hostname, pathname } = new URL(place.address);
    this.#bucket = hostname;
    this.#prefix = pathname.length > 1 ? `${pathname.slice(1).replace(/\/$/, "")}/` : "";
    this.#client = place.over ?? clientFor(place.access);
  }

  meaning(id: string): Disk {
    return new S3Disk({ ...this.#place, meant: id, over: this.#client });
  }

  async putChunk({ hash, bytes }: ChunkUpload, signal?: AbortSignal): Promise<{ existed: boolean }> {
    const digest = createHash("sha256").update(bytes).digest();
    if (digest.toString("hex") !== hash) throw failure("CHUNK_CORRUPT", `These are other bytes than those of chunk ${hash}.`);
    return await this.#do(signal, async () => {
      for (let round = 1; ; round++) {
        if (await this.#putNew(hash, bytes, digest, signal)) return { existed: false };
        if (await this.#touch(hash, bytes.length, signal)) return { existed: true };
        if (round === PUT_ROUNDS) throw failure("TOO_BUSY", `Chunk ${hash} comes and goes.`);
      }
    });
  }

  async getChunk({ hash, offset = 0, length = 0 }: ChunkRange, signal?: AbortSignal): Promise<Buffer> {
    return await this.#do(signal, async () => {
      const whole = offset === 0 && length === 0;
      // Whole blocks are asked for: only those have sums.
      const start = offset - (offset % BLOCK_BYTES);
      const end = length === 0 ? undefined : Math.ceil((offset + length) / BLOCK_BYTES) * BLOCK_BYTES;
      const range = whole ? {} : { Range: `bytes=${start}-${end === undefined ? "" : end - 1}` };
      const got = await this.#client.send(
        new GetObjectCommand({ Bucket: this.#bucket, Key: chunkKey(this.#prefix, hash), ...range }),
        sending(signal),
      );
      const bytes = Buffer.from(await got.Body!.transformToByteArray());
      const good = whole ? nameOf(bytes) === hash : sumsFit(bytes, start, decodeSums(got.Metadata?.["sums"]));
      if (!good) {
        await this.#quarantine(hash, got.VersionId, signal);
        throw failure("CHUNK_CORRUPT", `${this.#place.address} has other bytes than those of chunk ${hash}.`);
      }
      const from = offset - start;
      if (length > 0 && from + length > bytes.length)
        throw failure("RANGE_NOT_SATISFIABLE", `Chunk ${hash} ends before ${offset + length}.`);
      return length === 0 ? bytes.subarray(from) : bytes.subarray(from, from + length);
    });
  }

  async readChunk(range: ChunkRange, signal?: AbortSignal): Promise<readonly Buffer[]> {
    return [await this.getChunk(range, signal)];
  }

  async statChunk({ hash, touch = false, verify = false }: ChunkLook, signal?: AbortSignal): Promise<StoredChunk | undefined> {
    if (verify && !(await this.#isGood(hash, signal))) return undefined;
    const found = await this.#do(signal, async () => {
      const there = await this.#head(hash, signal);
      if (!there || !touch) return there;
      return (await this.#touch(hash, there.size, signal)) ? await this.#head(hash, signal) : undefined;
    });
    return found && { size: found.size, version: found.version };
  }

  /** Only reading tells: what stands behind an address of S3 may look at its bytes when they are asked for, and not before. */
  async #isGood(hash: string, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      await this.getChunk({ hash }, signal);
      return true;
    } catch (error) {
      if (errorType(error) === "CHUNK_CORRUPT" || errorType(error) === "CHUNK_NOT_FOUND") return false;
      throw error;
    }
  }

  async deleteChunk(
    { hash, version }: { readonly hash: string; readonly version: string },
    signal?: AbortSignal,
  ): Promise<{ existed: boolean }> {
    return await this.#do(signal, async () => {
      const there = await this.#head(hash, signal);
      if (there && there.version !== version) throw failure("CHUNK_CHANGED", `Chunk ${hash} was stored again since.`);
      if (there) await this.#remove(chunkKey(this.#prefix, hash), version, signal);
      return { existed: there !== undefined };
    });
  }

  async listChunks({ bits, partition, after, limit }: ChunkPage, signal?: AbortSignal): Promise<ListedChunk[]> {
    return await this.#do(signal, async () => {
      const listed: ListedChunk[] = [];
      for await (const chunk of this.#versions(digitsOf(partition, bits), after, signal)) {
        if (isIn(chunk.hash, partition, bits)) listed.push(chunk);
        if (listed.length === limit) break;
      }
      return listed;
    });
  }

  async getDigests({ bits }: { readonly bits: number }, signal?: AbortSignal): Promise<Buffer> {
    return await this.#do(signal, async () => {
      const digests = emptyDigests(bits);
      for await (const { hash } of this.#versions("", undefined, signal)) addToDigests(digests, bits, Buffer.from(hash, "hex"));
      return digests;
    });
  }

  /** Chunks are counted up to a thousand: S3 has no figure of them. */
  async getDisk(signal?: AbortSignal): Promise<DiskFacts> {
    return await this.#do(signal, async () => {
      const { KeyCount: chunks = 0 } = await this.#client.send(
        new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: chunkKey(this.#prefix, ""), MaxKeys: PAGE_KEYS }),
        sending(signal),
      );
      return {
        id: await this.#identify(),
        zone: "s3",
        capacityBytes: CAPACITY_BYTES,
        freeBytes: CAPACITY_BYTES,
        usedBytes: 0,
        chunks,
        epoch: 0,
        readOnly: null,
        trash: NOTHING,
        quarantine: NOTHING,
        faults: 0,
        faultsSinceStart: 0,
        scrub: SCRUB,
      };
    });
  }

  /** One object is looked at: the figures of `getDisk` take a list of a thousand. */
  async greet(signal?: AbortSignal): Promise<void> {
    const identity = new HeadObjectCommand({ Bucket: this.#bucket, Key: identityKey(this.#prefix) });
    await this.#do(signal, async () => await this.#client.send(identity, sending(signal))).catch((error: unknown) => {
      if (errorType(error) !== "CHUNK_NOT_FOUND") throw error;
      throw failure("DISK_UNAVAILABLE", `The bucket ${this.#bucket} has no ${identityKey(this.#prefix)} any more.`, { cause: error });
    });
  }

  async scrubDisk(): Promise<ScrubFacts> {
    return SCRUB;
  }

  close(): void {
    this.#client.destroy();
  }

  /** False when the chunk is there. */
  async #putNew(hash: string, bytes: Uint8Array, digest: Buffer, signal: AbortSignal | undefined): Promise<boolean> {
    const sums = new BlockSums();
    sums.update(bytes);
    const put = new PutObjectCommand({
      Bucket: this.#bucket,
      Key: chunkKey(this.#prefix, hash),
      Body: bytes,
      ContentLength: bytes.length,
      ChecksumSHA256: digest.toString("base64"),
      Metadata: { sums: encodeSums(sums.end()) },
      IfNoneMatch: "*",
    });
    try {
      await this.#client.send(put, sending(signal));
      return true;
    } catch (error) {
      // 412: it is there; 409: somebody else is just putting it there.
      if (statusOf(error) === 412 || statusOf(error) === 409) return false;
      throw error;
    }
  }

  /** Gives the object another version, so that who looked at it before does not delete it. False when it is gone, or was cut short and has to go. */
  async #touch(hash: string, size: number, signal: AbortSignal | undefined): Promise<boolean> {
    const there = await this.#head(hash, signal);
    const key = chunkKey(this.#prefix, hash);
    if (!there) return false;
    if (there.size === size) {
      const copy = { Bucket: this.#bucket, Key: key, CopySource: this.#source(key, there.version) };
      try {
        await this.#client.send(
          new CopyObjectCommand({ ...copy, MetadataDirective: "REPLACE", Metadata: { sums: there.sums } }),
          sending(signal),
        );
      } catch (error) {
        if (statusOf(error) === 404) return false;
        throw error;
      }
    }
    await this.#remove(key, there.version, signal);
    return there.size === size;
  }

  async #head(hash: string, signal: AbortSignal | undefined): Promise<Found | undefined> {
    try {
      const head = await this.#client.send(
        new HeadObjectCommand({ Bucket: this.#bucket, Key: chunkKey(this.#prefix, hash) }),
        sending(signal),
      );
      return { size: head.ContentLength ?? 0, version: head.VersionId ?? "", sums: head.Metadata?.["sums"] ?? "" };
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  }

  /** One version of an object, to be copied. */
  #source(key: string, version: string): string {
    return `${this.#bucket}/${encodeURI(key)}?versionId=${encodeURIComponent(version)}`;
  }

  async #remove(key: string, version: string, signal: AbortSignal | undefined): Promise<void> {
    await this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: key, VersionId: version }), sending(signal));
  }

  async #quarantine(hash: string, version: string | undefined, signal: AbortSignal | undefined): Promise<void> {
    if (version === undefined) return;
    const key = chunkKey(this.#prefix, hash);
    const copy = { Bucket: this.#bucket, Key: quarantineKey(this.#prefix, hash), CopySource: this.#source(key, version) };
    await this.#client.send(new CopyObjectCommand(copy), sending(signal));
    await this.#remove(key, version, signal);
  }

  /** The chunks whose names begin with these digits, behind one of them or all, in their order. */
  async *#versions(digits: string, after: string | undefined, signal: AbortSignal | undefined): AsyncGenerator<ListedChunk, void> {
    let marker = after === undefined ? undefined : chunkKey(this.#prefix, after);
    for (let more = true; more;) {
      const page: ListObjectVersionsCommand = new ListObjectVersionsCommand({
        Bucket: this.#bucket,
        Prefix: chunkKey(this.#prefix, digits),
        ...(marker === undefined ? {} : { KeyMarker: marker }),
        MaxKeys: PAGE_KEYS,
      });
      const listed: ListObjectVersionsCommandOutput = await this.#client.send(page, sending(signal));
      for (const { Key, Size, VersionId, IsLatest, LastModified } of listed.Versions ?? []) {
        const hash = chunkOf(this.#prefix, Key ?? "");
        if (hash === undefined || !IsLatest) continue;
        const ageSeconds = Math.max(0, Math.floor((Date.now() - (LastModified?.getTime() ?? 0)) / 1000));
        yield { hash, size: Size ?? 0, version: VersionId ?? "", ageSeconds };
      }
      marker = listed.NextKeyMarker;
      more = listed.IsTruncated === true;
    }
  }

  /** Every call: the right disk, and failures of the one table. */
  async #do<R>(signal: AbortSignal | undefined, work: () => Promise<R>): Promise<R> {
    try {
      const id = await this.#identify();
      const { meant, address } = this.#place;
      if (meant !== undefined && meant !== id) throw failure("DISK_MISTAKEN", `At ${address} is disk ${id}, not ${meant}.`);
      return await work();
    } catch (error) {
      throw failureOf(error, this.#place.address, signal);
    }
  }

  async #identify(): Promise<string> {
    this.#identity ??= this.#readIdentity().catch((error: unknown) => {
      this.#identity = undefined;
      throw error;
    });
    return await this.#identity;
  }

  async #readIdentity(): Promise<string> {
    const { Status } = await this.#client.send(new GetBucketVersioningCommand({ Bucket: this.#bucket }));
    if (Status !== "Enabled")
      throw failure(
        "DISK_UNAVAILABLE",
        `The bucket ${this.#bucket} keeps no versions, and a delete could hit what was just stored: enable them.`,
      );
    const object = { Bucket: this.#bucket, Key: identityKey(this.#prefix) };
    const made = JSON.stringify({ id: randomUUID(), createdAt: new Date().toISOString() });
    await this.#client.send(new PutObjectCommand({ ...object, Body: made, IfNoneMatch: "*" })).catch((error: unknown) => {
      if (statusOf(error) !== 412 && statusOf(error) !== 409) throw error;
    });
    const { Body } = await this.#client.send(new GetObjectCommand(object));
    return uuid.parse((JSON.parse(await Body!.transformToString()) as { id?: unknown }).id);
  }
}

function clientFor({ endpoint, region, credentials }: S3Access): S3Client {
  return new S3Client({
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials === undefined ? {} : { credentials }),
    // Names of buckets in the host's name need DNS of their own, which only Amazon's endpoints have for sure.
    forcePathStyle: true,
    // Chunks bring their own checksum; the SDK's second one, as a trailer, is what others than Amazon do not understand.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: REQUEST_MS },
  });
}

function sending(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal ? { abortSignal: signal } : {};
}

function nameOf(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** `start` is where in the chunk the bytes lie: at the head of a block. */
function sumsFit(bytes: Buffer, start: number, expected: Uint32Array): boolean {
  const found = new BlockSums(start);
  found.update(bytes);
  const sums = found.end();
  const first = start / BLOCK_BYTES;
  return sums.length > 0 && sums.every((sum, index) => sum === expected[first + index]);
}
