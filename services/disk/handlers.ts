/** What each method of DiskService does with the store. */
import type { Logger } from "pino";
import type {
  DeleteChunkRequest,
  DeleteChunkResponse,
  ExchangeRequest,
  GetChunkRequest,
  GetChunkResponse,
  GetDigestsRequest,
  GetDigestsResponse,
  GetDiskResponse,
  ListChunksRequest,
  ListChunksResponse,
  PutChunkHeader,
  PutChunkRequest,
  PutChunkResponse,
  ScrubDiskRequest,
  ScrubDiskResponse,
  StatChunkRequest,
  StatChunkResponse,
} from "../../proto/gen/tritontube/disk/v1/disk.ts";
import { errorType, failure } from "../kernel/errors.ts";
import { hashOf, type Range, rangeOf } from "./domain/chunk.ts";
import { advance, opening, type PutState } from "./domain/put.ts";
import type { Incoming } from "./files/incoming.ts";
import type { Scrubber } from "./files/scrub.ts";
import type { ChunkStore } from "./files/store.ts";
import type { StoredChunk } from "./files/stored.ts";
import { sumsIn } from "./files/sums.ts";
import { MESSAGE_BYTES } from "../kernel/limits.ts";
import { readPiece, sendPart, sendWhole } from "./grpc/download.ts";
import type { Answered } from "./grpc/exchange.ts";
import { Frames } from "./grpc/frames.ts";

type Send<R> = (message: R) => Promise<void>;
type Part = Range & { readonly sums?: number[] };

const NOTHING = Buffer.alloc(0);

export class DiskHandlers {
  readonly #store: ChunkStore;
  readonly #scrubber: Scrubber;
  readonly #zone: string;
  readonly #logger: Logger;
  readonly #frames = new Frames();
  /** Chunks that are being read because other copies are to be deleted. */
  readonly #reads = new Map<string, Promise<void>>();

  constructor({ store, scrubber }: { readonly store: ChunkStore; readonly scrubber: Scrubber }, zone: string, logger: Logger) {
    this.#store = store;
    this.#scrubber = scrubber;
    this.#zone = zone;
    this.#logger = logger;
  }

  async putChunk(messages: AsyncIterable<PutChunkRequest>): Promise<PutChunkResponse> {
    let state: PutState = opening;
    let incoming: Incoming | undefined;
    try {
      for await (const { part } of messages) {
        state = advance(state, part);
        if (part?.$case === "data") await incoming?.write(part.value);
        if (state.name === "committed" && incoming) return { existed: await this.#store.publish(incoming) };
        if (state.name === "receiving" && !incoming) {
          incoming = await this.#store.begin(state.header);
          if (!incoming) return { existed: true };
        }
      }
      throw failure("UPLOAD_ABORTED", `The upload was ${state.name} when it ended; nothing is stored without a commit.`);
    } catch (error) {
      this.#store.failed(error);
      throw error;
    } finally {
      if (incoming) await this.#store.end(incoming);
    }
  }

  async getChunk(request: GetChunkRequest, send: Send<GetChunkResponse>): Promise<void> {
    await this.#reading(request, async (chunk, { sums, ...range }) => {
      await send({ part: { $case: "header", value: { size: chunk.size, sums: sums ?? [] } } });
      if (sums) await sendPart(chunk, { ...range, sums }, { send, frames: this.#frames });
      else await sendWhole(chunk, send, this.#frames);
    });
  }

  async exchange({ number, asked, data }: ExchangeRequest): Promise<Answered> {
    if (asked?.$case === "get") return await this.#piece(number, asked.value);
    if (asked?.$case !== "put") throw failure("INVALID_REQUEST", "A request of an exchange puts a chunk, or gets one.");
    const stored = await this.putChunk(messagesOf(asked.value, data));
    return { message: { number, answer: { $case: "stored", value: stored }, data: NOTHING } };
  }

  async #piece(number: number, request: GetChunkRequest): Promise<Answered> {
    return await this.#reading(request, async (chunk, part) => {
      const answer = { $case: "read" as const, value: { size: chunk.size, sums: part.sums ?? [] } };
      if (part.end - part.start > MESSAGE_BYTES) return { message: { number, answer, data: NOTHING } };
      const frame = this.#frames.take();
      const data = await readPiece(chunk, part, frame);
      return { message: frame.answer({ number, answer, data }), sent: () => this.#frames.give(frame) };
    });
  }

  /** With sums for a part of a chunk, without for all of it: that has its name. CHUNK_NOT_FOUND, CHUNK_CORRUPT, RANGE_NOT_SATISFIABLE. */
  async #reading<T>(request: GetChunkRequest, work: (chunk: StoredChunk, part: Part) => Promise<T>): Promise<T> {
    const chunk = await this.#store.read(hashOf(request.sha256));
    try {
      const range = rangeOf(request, chunk.size);
      const isWhole = request.offset === 0 && request.length === 0;
      return await work(chunk, isWhole ? range : { ...range, sums: await sumsIn(chunk, await this.#store.sums.of(chunk), range) });
    } catch (error) {
      if (errorType(error) === "CHUNK_CORRUPT") await this.#quarantine(chunk);
      throw error;
    } finally {
      await chunk.close();
    }
  }

  async statChunk(request: StatChunkRequest): Promise<StatChunkResponse> {
    await this.#store.see(request.epoch);
    const hash = hashOf(request.sha256);
    if (request.verify) await this.#verified(hash);
    const file = await this.#store.stat(hash, request);
    return { found: file !== undefined, size: file?.size ?? 0, version: file?.version ?? "" };
  }

  /** Read once for all who ask meanwhile: of a slow disk the same is asked again, by those who could not wait. */
  async #verified(hash: string): Promise<void> {
    const reading = this.#reads.get(hash) ?? this.#store.verify(hash).then(() => undefined, unlessNotThere);
    this.#reads.set(hash, reading);
    await reading.finally(() => this.#reads.get(hash) === reading && this.#reads.delete(hash));
  }

  async deleteChunk(request: DeleteChunkRequest): Promise<DeleteChunkResponse> {
    if (request.version === "") throw failure("INVALID_REQUEST", "A delete names the version of the file that is to go: see StatChunk.");
    return { existed: await this.#store.remove(hashOf(request.sha256), request) };
  }

  async listChunks(request: ListChunksRequest, send: Send<ListChunksResponse>): Promise<void> {
    await this.#store.see(request.epoch);
    const after = request.after.length === 0 ? "" : hashOf(request.after);
    for await (const batch of this.#store.list({ ...request, after })) {
      await send({ chunks: batch.map(({ hash, ...file }) => ({ sha256: Buffer.from(hash, "hex"), ...file })) });
    }
  }

  async getDigests(request: GetDigestsRequest, send: Send<GetDigestsResponse>): Promise<void> {
    for await (const digests of this.#store.digests(request.bits)) await send({ digests });
  }

  async getDisk(): Promise<GetDiskResponse> {
    return { id: this.#store.id, zone: this.#zone, ...(await this.#store.usage()), scrub: this.#scrubber.figures };
  }

  async scrubDisk(request: ScrubDiskRequest): Promise<ScrubDiskResponse> {
    await this.#scrubber.steer(request);
    return { scrub: this.#scrubber.figures };
  }

  async #quarantine(chunk: StoredChunk): Promise<void> {
    const moved = await this.#store.quarantine(chunk);
    this.#logger.warn({ chunk: chunk.hash, moved }, "a chunk is corrupt");
  }
}

function unlessNotThere(error: unknown): void {
  if (errorType(error) !== "CHUNK_NOT_FOUND") throw error;
}

/** A chunk that came at once, as it comes otherwise. */
async function* messagesOf(header: PutChunkHeader, data: Buffer): AsyncGenerator<PutChunkRequest> {
  if (data.length > MESSAGE_BYTES)
    throw failure("INVALID_REQUEST", `${data.length} bytes of a chunk are more than a request of an exchange has.`);
  yield { part: { $case: "header", value: header } };
  yield { part: { $case: "data", value: data } };
  yield { part: { $case: "commit", value: {} } };
}
