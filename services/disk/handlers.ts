/** What each method of DiskService does with the store. */
import type { Logger } from "pino";
import type {
  DeleteChunkRequest,
  DeleteChunkResponse,
  GetChunkRequest,
  GetChunkResponse,
  GetDiskResponse,
  PutChunkRequest,
  PutChunkResponse,
  StatChunkRequest,
  StatChunkResponse,
} from "../../proto/gen/tritontube/disk/v1/disk.ts";
import { errorType, failure } from "../kernel/errors.ts";
import { hashOf, rangeOf } from "./domain/chunk.ts";
import { advance, opening, type PutState } from "./domain/put.ts";
import type { Incoming } from "./files/incoming.ts";
import type { ChunkStore } from "./files/store.ts";
import type { StoredChunk } from "./files/stored.ts";
import { sendBytes } from "./grpc/download.ts";
import { Frames } from "./grpc/frames.ts";

type Send = (message: GetChunkResponse) => Promise<void>;

export class DiskHandlers {
  readonly #store: ChunkStore;
  readonly #zone: string;
  readonly #logger: Logger;
  readonly #frames = new Frames();

  constructor(store: ChunkStore, zone: string, logger: Logger) {
    this.#store = store;
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
    } finally {
      if (incoming) await this.#store.end(incoming);
    }
  }

  async getChunk(request: GetChunkRequest, send: Send): Promise<void> {
    const chunk = await this.#store.read(hashOf(request.sha256));
    try {
      const range = rangeOf(request, chunk.size);
      await send({ part: { $case: "header", value: { size: chunk.size } } });
      await sendBytes(chunk, range, send, this.#frames);
    } catch (error) {
      if (errorType(error) === "CHUNK_CORRUPT") await this.#quarantine(chunk);
      throw error;
    } finally {
      await chunk.close();
    }
  }

  async statChunk(request: StatChunkRequest): Promise<StatChunkResponse> {
    const size = await this.#store.stat(hashOf(request.sha256));
    return { found: size !== undefined, size: size ?? 0 };
  }

  async deleteChunk(request: DeleteChunkRequest): Promise<DeleteChunkResponse> {
    return { existed: await this.#store.remove(hashOf(request.sha256), request.epoch) };
  }

  async getDisk(): Promise<GetDiskResponse> {
    return { id: this.#store.id, zone: this.#zone, ...(await this.#store.usage()) };
  }

  async #quarantine(chunk: StoredChunk): Promise<void> {
    const moved = await this.#store.quarantine(chunk);
    this.#logger.warn({ chunk: chunk.hash, moved }, "a chunk is corrupt");
  }
}
