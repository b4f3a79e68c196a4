/** A chunk as messages, and messages as a chunk. */
import { createHash } from "node:crypto";
import { BlockSums } from "../../proto/blocks.ts";
import type { GetChunkHeader, GetChunkResponse, PutChunkHeader, PutChunkRequest } from "../../proto/gen/tritontube/disk/v1/disk.ts";
import { failure } from "../../services/kernel/errors.ts";
import { CHUNK_BYTES_MAX, MESSAGE_BYTES } from "../../services/kernel/limits.ts";

export interface ChunkRange {
  readonly hash: string;
  /** First byte; default 0. */
  readonly offset?: number;
  /** Bytes; default: to the end. */
  readonly length?: number;
  /** Of the whole chunk, where it is known: bytes. */
  readonly size?: number;
}

export interface ChunkUpload {
  readonly hash: string;
  /** 1 byte to 8 MiB. Must not change until the upload ends. */
  readonly bytes: Uint8Array;
  readonly epoch: number;
}

/** Its data are a view of the chunk's bytes. */
export function wholeOf({ hash, bytes, epoch }: ChunkUpload): { readonly header: PutChunkHeader; readonly data: Buffer } {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { header: { sha256: Buffer.from(hash, "hex"), size: data.length, epoch }, data };
}

/** Header, data, commit. The data are views of the chunk's bytes. */
export function* uploadOf(chunk: ChunkUpload): Generator<PutChunkRequest> {
  const { header, data } = wholeOf(chunk);
  yield { part: { $case: "header", value: header } };
  for (let at = 0; at < data.length; at += MESSAGE_BYTES) {
    yield { part: { $case: "data", value: data.subarray(at, at + MESSAGE_BYTES) } };
  }
  yield { part: { $case: "commit", value: {} } };
}

export type Messages = AsyncIterable<GetChunkResponse> | Iterable<GetChunkResponse>;

/** A download that came at once, as it comes otherwise. */
export function messagesOf(header: GetChunkHeader, data: Buffer): Messages {
  return [{ part: { $case: "header", value: header } }, { part: { $case: "data", value: data } }];
}

/** Known to fit into one message. */
export function isSmall({ offset = 0, length = 0, size = Infinity }: ChunkRange): boolean {
  return (length === 0 ? size - offset : length) <= MESSAGE_BYTES;
}

/**
 * The data of a download as it comes. When all have come they are known to be good: CHUNK_CORRUPT when
 * they are not as many as the header promised, not what the name of a chunk says, or a part does not have the sums of its blocks.
 */
export async function* downloadOf(messages: Messages, range: ChunkRange): AsyncGenerator<Buffer> {
  const proof = isWhole(range) ? new NameProof(range.hash) : new SumsProof(range.offset ?? 0);
  let total = 0;
  let received = 0;
  for await (const { part } of messages) {
    if (part?.$case === "header") {
      total = lengthOf(range, part.value.size);
      proof.expect(part.value.sums);
    }
    if (part?.$case !== "data") continue;
    received += part.value.length;
    if (received > total) break;
    proof.update(part.value);
    yield part.value;
  }
  if (received !== total || total === 0) throw failure("CHUNK_CORRUPT", `${received} of ${total} bytes of chunk ${range.hash} came.`);
  if (!proof.holds()) throw failure("CHUNK_CORRUPT", `Other bytes came than those of chunk ${range.hash}.`);
}

/** What tells whether bytes are good. */
interface Proof {
  expect(sums: readonly number[]): void;
  update(bytes: Buffer): void;
  holds(): boolean;
}

class NameProof implements Proof {
  readonly #name: string;
  readonly #hash = createHash("sha256");

  constructor(name: string) {
    this.#name = name;
  }

  expect(): void {}

  update(bytes: Buffer): void {
    this.#hash.update(bytes);
  }

  holds(): boolean {
    return this.#hash.digest("hex") === this.#name;
  }
}

class SumsProof implements Proof {
  readonly #found: BlockSums;
  #expected: readonly number[] = [];

  constructor(offset: number) {
    this.#found = new BlockSums(offset);
  }

  expect(sums: readonly number[]): void {
    this.#expected = sums;
  }

  update(bytes: Buffer): void {
    this.#found.update(bytes);
  }

  holds(): boolean {
    const found = this.#found.end();
    return found.length === this.#expected.length && found.every((sum, index) => sum === this.#expected[index]);
  }
}

/** As the disk has it: without a length it is whole, unless it begins later. */
function isWhole({ offset = 0, length = 0 }: ChunkRange): boolean {
  return offset === 0 && length === 0;
}

function lengthOf({ hash, offset = 0, length = 0 }: ChunkRange, size: number): number {
  if (size > CHUNK_BYTES_MAX) throw failure("CHUNK_CORRUPT", `Chunk ${hash} is said to have ${size} bytes.`);
  return length === 0 ? size - offset : length;
}
