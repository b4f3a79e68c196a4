/** Bytes out: a range of a blob as a stream, or a small blob whole. */
import { Readable } from "node:stream";
import { type Cut, behind, PIECE_BYTES, piecesOf } from "../domain/cut.ts";
import type { Spare } from "../memory/spare.ts";
import type { ChunkReader } from "./chunk-read.ts";

/** What is asked for at once, by any reader and by one who waits for us: each call costs as much as half a megabyte. Powers of two, the last of which is a chunk. */
const PACES = [1, 16].map((times) => times * PIECE_BYTES);
/** Who has taken nothing for so long may be away for minutes: what was read ahead for him is let go, and read again when he is back. */
const REST_MS = 1000;

/** Why nothing is read ahead any more: made once, since each error that is made looks at the stack. */
const ENDED = new Error("The reader is gone, or at rest.");

interface Ports {
  readonly chunks: ChunkReader;
  /** For the larger pieces of fast readers. */
  readonly spare: Spare;
}

/**
 * A stream of these cuts. Each piece is asked for by itself, one ahead of the reader: a slow one has no call open at any disk, whose window it
 * would fill for all others. It holds what is left of two pieces, a message that waits in the stream, and one that its own writer keeps; after a rest, these two.
 */
export function streamOf(ports: Ports, cuts: readonly Cut[]): Readable {
  return new BlobStream(ports, cuts);
}

/** The whole of these cuts in memory; what came in one buffer is not copied. */
export async function bytesOf(chunks: ChunkReader, cuts: Iterable<Cut>, signal: AbortSignal): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (const cut of cuts) parts.push(...(await chunks.read(cut, signal)));
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

class BlobStream extends Readable {
  readonly #ports: Ports;
  readonly #cuts: readonly Cut[];
  readonly #resting: NodeJS.Timeout;
  #ahead: Ahead | undefined;
  #waiting = false;
  #handedOn = 0;

  constructor(ports: Ports, cuts: readonly Cut[]) {
    super();
    this.#ports = ports;
    this.#cuts = cuts;
    this.#resting = setTimeout(() => this.#rest(), REST_MS).unref();
  }

  override _read(): void {
    this.#handOn().catch((error: Error) => this.destroy(error));
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#resting);
    this.#ahead?.end();
    done(error);
  }

  async #handOn(): Promise<void> {
    this.#ahead ??= new Ahead(this.#ports, behind(this.#cuts, this.#handedOn));
    this.#waiting = true;
    const bytes = await this.#ahead.next();
    this.#waiting = false;
    if (this.destroyed) return;
    this.#handedOn += bytes?.length ?? 0;
    this.#resting.refresh();
    this.push(bytes ?? null);
  }

  #rest(): void {
    // It is not the reader who lets others wait.
    if (this.#waiting) return;
    this.#ahead?.end();
    this.#ahead = undefined;
  }
}

interface Piece {
  readonly bytes: Promise<readonly Buffer[]>;
  /** Whether it has come. */
  here: boolean;
}

/** What is on its way to one reader. */
class Ahead {
  readonly #ports: Ports;
  readonly #pieces: Iterator<Cut>;
  readonly #ending = new AbortController();
  #pace = 0;
  #spareTaken = 0;
  #taken = 0;
  #coming: Piece | undefined;
  #here: readonly Buffer[] = [];
  #at = 0;

  constructor(ports: Ports, cuts: Iterable<Cut>) {
    this.#ports = ports;
    this.#pieces = piecesOf(cuts, () => PACES[this.#pace]!);
    this.#coming = this.#begin();
  }

  /** The next bytes; undefined when there are no more. */
  async next(): Promise<Buffer | undefined> {
    if (this.#at === this.#here.length) await this.#take();
    return this.#here[this.#at++];
  }

  end(): void {
    this.#ending.abort(ENDED);
    this.#ports.spare.give(this.#spareTaken);
    this.#spareTaken = 0;
  }

  async #take(): Promise<void> {
    const piece = this.#coming;
    this.#here = [];
    this.#at = 0;
    if (!piece) return;
    // Everybody waits for the first.
    if (this.#taken++ > 0 && !piece.here) this.#hurry();
    this.#coming = this.#begin();
    this.#here = await piece.bytes;
  }

  /** The reader waits for us: with larger pieces he waits less, as long as there is memory for them. */
  #hurry(): void {
    const [now, next] = PACES.slice(this.#pace);
    const more = 2 * ((next ?? 0) - (now ?? 0));
    if (next === undefined || !this.#ports.spare.take(more)) return;
    this.#spareTaken += more;
    this.#pace += 1;
  }

  #begin(): Piece | undefined {
    const { done, value } = this.#pieces.next();
    if (done) return undefined;
    const piece: Piece = { bytes: this.#ports.chunks.read(value, this.#ending.signal), here: false };
    // Whoever destroys the stream does not wait for it.
    piece.bytes.then(
      () => (piece.here = true),
      () => undefined,
    );
    return piece;
  }
}
