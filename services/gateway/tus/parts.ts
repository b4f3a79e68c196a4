/** From the body of a request to parts that are durable. */
import { createHash, type Hash } from "node:crypto";
import { once } from "node:events";
import { Readable } from "node:stream";
import { failure } from "../../kernel/errors.ts";
import { CHUNK_BYTES_MAX } from "../../kernel/limits.ts";
import type { Checksum } from "../domain/tus.ts";
import type { Hold } from "./hold.ts";
import type { Part, TusPorts } from "./ports.ts";

/** One fills while two are on their way to the disks, as within a blob (services/storage/disks/blob-write.ts). */
const PARTS_AT_ONCE = 3;
/** What one `append` takes: 8 GB. Bytes with a checksum are all kept, or none. */
const CHECKED_PARTS_MAX = 1000;

export interface Reception {
  readonly ports: Pick<TusPorts, "write">;
  readonly hold: Hold;
  /** Where the first byte goes, and where no byte may go any more. */
  readonly start: number;
  readonly end: number;
  readonly checksum: Checksum | undefined;
}

/**
 * Stores what comes, part by part, and answers the offset behind it. A body that is cut off is stored as far as it came, and then fails with what
 * cut it; with a checksum, nothing of it is.
 */
export async function receiveParts(body: Readable, reception: Reception): Promise<number> {
  const source = new Source(body, reception.hold, reception.checksum);
  const sink = reception.checksum ? new CheckedSink(reception) : new Sink(reception);
  let at = reception.start;
  while (at < reception.end && (await source.more())) {
    const { stored, size } = await storePart(body, source, reception, at);
    await sink.add(stored);
    at += size;
  }
  if (!source.failure && (await source.more())) throw failure("UPLOAD_TOO_LARGE", "There are more bytes than the upload has length.");
  return await sink.end(source);
}

/** None crosses a multiple of a chunk's length (services/uploads/domain/upload.ts). Resolves when its bytes were taken; `stored`, when they are durable. */
async function storePart(
  body: Readable,
  source: Source,
  { ports, end }: Reception,
  at: number,
): Promise<{ stored: Promise<Part>; size: number }> {
  const room = Math.min(CHUNK_BYTES_MAX - (at % CHUNK_BYTES_MAX), end - at);
  const before = source.taken;
  const stream = Readable.from(source.take(room), { objectMode: false });
  const stored = ports.write(stream, room);
  // Whoever waits for more bytes of a client learns that they cannot be stored from the body.
  stored.catch((error: unknown) => {
    body.destroy(error as Error);
    stream.destroy();
  });
  if (!stream.closed) await once(stream, "close").catch(() => undefined);
  return { stored, size: source.taken - before };
}

/** Appends parts in their order, while later ones are still on their way. */
class Sink {
  readonly #hold: Hold;
  readonly #appends: Promise<void>[] = [];
  #offset: number;

  constructor({ hold, start }: Reception) {
    this.#hold = hold;
    this.#offset = start;
  }

  async add(stored: Promise<Part>): Promise<void> {
    const appended = this.#append(this.#appends.at(-1), stored);
    // It is told by whoever waits for it, below.
    appended.catch(() => {});
    this.#appends.push(appended);
    await this.#appends.at(-PARTS_AT_ONCE);
  }

  async #append(before: Promise<void> | undefined, stored: Promise<Part>): Promise<void> {
    await before;
    this.#offset = (await this.#hold.append(this.#offset, [await stored])).offset;
  }

  async end(source: Source): Promise<number> {
    await this.#appends.at(-1);
    if (source.failure) throw source.failure;
    return this.#offset;
  }
}

/** Keeps parts until the checksum has been seen to be theirs. Those of another are let go: no row names them. */
class CheckedSink {
  readonly #reception: Reception;
  readonly #stored: Promise<Part>[] = [];

  constructor(reception: Reception) {
    this.#reception = reception;
  }

  async add(stored: Promise<Part>): Promise<void> {
    if (this.#stored.length === CHECKED_PARTS_MAX) {
      throw failure("UPLOAD_TOO_LARGE", `A request with a checksum may have ${CHECKED_PARTS_MAX} parts of ${CHUNK_BYTES_MAX} bytes.`);
    }
    this.#stored.push(stored);
    await this.#stored.at(-PARTS_AT_ONCE);
  }

  async end(source: Source): Promise<number> {
    const { hold, start, checksum } = this.#reception;
    const parts = await Promise.all(this.#stored);
    if (source.failure) throw source.failure;
    if (!checksum?.digest.equals(source.digest())) {
      throw failure("UPLOAD_CHECKSUM_MISMATCH", "The bytes that came are not those of Upload-Checksum; none of them was kept.");
    }
    return parts.length === 0 ? start : (await hold.append(start, parts)).offset;
  }
}

/** The bytes of a body, taken in portions that know nothing of each other. */
class Source {
  readonly #iterator: AsyncIterator<Buffer>;
  readonly #hold: Hold;
  readonly #hash: Hash | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #ended = false;
  /** What cut the body off. */
  failure: Error | undefined;
  taken = 0;

  constructor(body: Readable, hold: Hold, checksum: Checksum | undefined) {
    this.#iterator = (body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    this.#hold = hold;
    this.#hash = checksum && createHash(checksum.algorithm);
  }

  /** Waits for a byte. False at the end, however that came. */
  async more(): Promise<boolean> {
    while (this.#rest.length === 0 && !this.#ended) {
      this.#hold.waitingSince = performance.now();
      try {
        const next = await this.#iterator.next();
        if (next.done === true) this.#ended = true;
        else this.#rest = next.value;
      } catch (error) {
        this.#ended = true;
        this.failure = error as Error;
      } finally {
        this.#hold.waitingSince = undefined;
      }
    }
    return this.#rest.length > 0;
  }

  async *take(bytes: number): AsyncGenerator<Buffer> {
    for (let left = bytes; left > 0 && (await this.more());) {
      const piece = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(piece.length);
      left -= piece.length;
      this.taken += piece.length;
      this.#hash?.update(piece);
      yield piece;
    }
  }

  digest(): Buffer {
    return this.#hash?.digest() ?? Buffer.alloc(0);
  }
}
