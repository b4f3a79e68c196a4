/** What nodes ask of disks: a client like DiskClient, whose messages go over the simulated network to the shipped handlers of a disk. */
import { setTimeout as sleep } from "node:timers/promises";
import type { DiskClient } from "../../mixins/disks/client.ts";
import type { ChunkPage, ListedChunk } from "../../mixins/disks/facts.ts";
import { uploadOf } from "../../mixins/disks/chunks.ts";
import type { GetChunkResponse, ListChunksResponse, PutChunkRequest, StatChunkResponse } from "../../proto/gen/tritontube/disk/v1/disk.ts";
import type { DiskHandlers } from "../../services/disk/handlers.ts";
import { addToDigests, emptyDigests } from "../../services/kernel/digests.ts";
import { failure } from "../../services/kernel/errors.ts";
import type { Chance } from "./clock.ts";
import { FOLDER_BITS, FOLDERS, hashOf } from "./contents.ts";
import type { SimulatedDisk } from "./disk.ts";
import type { Life, Network } from "./network.ts";
import type { Rules } from "./rules.ts";

type Client = Pick<DiskClient, "putChunk" | "readChunk" | "statChunk" | "deleteChunk" | "listChunks" | "getDigests" | "getDisk">;

/** Share of the uploads that break before their commit, and of the messages that others come between. */
const BROKEN_SHARE = 0.02;
const SLOW_SHARE = 0.2;
const SLOW_MS = 50;
const LIST_MAX = 10_000;

export class DiskCalls {
  readonly #network: Network;
  readonly #chance: Chance;
  readonly #rules: Rules;
  /** When each chunk was last read because copies of it are to be deleted, ms. */
  readonly readAt = new Map<string, number>();

  constructor(network: Network, chance: Chance, rules: Rules) {
    this.#network = network;
    this.#chance = chance;
    this.#rules = rules;
  }

  clientOf(from: Life, disk: SimulatedDisk): Client {
    const ask = async <T>(name: string, work: (handlers: DiskHandlers) => Promise<T>, signal?: AbortSignal): Promise<T> =>
      await this.#network.ask({ from, disk, name, work: async () => await disk.serve(work), signal });
    return {
      putChunk: async (chunk, signal) => {
        const breaksAt = this.#chance.of(BROKEN_SHARE) ? this.#chance.between(0, 2) : Infinity;
        const isOver = (): boolean => !from.running || signal?.aborted === true;
        return await ask(
          "putChunk",
          async (handlers) => await handlers.putChunk(this.#stream([...uploadOf(chunk)], breaksAt, isOver)),
          signal,
        );
      },
      readChunk: async ({ hash }, signal) => {
        const bytes = await ask(
          "getChunk",
          async (handlers) => {
            const parts: Buffer[] = [];
            const take = async ({ part }: GetChunkResponse): Promise<void> => {
              if (part?.$case === "data") parts.push(Buffer.from(part.value));
            };
            await handlers.getChunk({ sha256: bytesOf(hash), offset: 0, length: 0 }, take);
            return Buffer.concat(parts);
          },
          signal,
        );
        if (hashOf(bytes) !== hash) throw failure("CHUNK_CORRUPT", `Chunk ${hash} came with other bytes.`);
        return [bytes];
      },
      statChunk: async ({ hash, epoch, touch, verify = false }, signal) => {
        const request = { sha256: bytesOf(hash), epoch, touch, verify: verify && this.#rules.readBeforeDelete };
        const look = async (handlers: DiskHandlers): Promise<StatChunkResponse> => {
          if (verify) this.readAt.set(hash, performance.now());
          return await handlers.statChunk(request);
        };
        const { found, size, version } = await ask("statChunk", look, signal);
        return found ? { size, version } : undefined;
      },
      deleteChunk: async ({ hash, version, epoch }, signal) =>
        await ask(
          "deleteChunk",
          async (handlers) => {
            const sha256 = bytesOf(hash);
            const meant = this.#rules.version ? version : (await handlers.statChunk({ sha256 })).version;
            return meant === "" ? { existed: false } : await handlers.deleteChunk({ sha256, version: meant, epoch });
          },
          signal,
        ),
      listChunks: async (page, signal) => await ask("listChunks", async (handlers) => await listOf(handlers, page), signal),
      // A walk over all folders of a disk, of which a run uses two, would take most of its time.
      getDigests: async ({ bits }, signal) =>
        await ask(
          "getDigests",
          async (handlers) => {
            const digests = emptyDigests(bits);
            for (let partition = 0; partition < 2 ** bits; partition++) {
              for (const { hash } of await listOf(handlers, { bits, partition, limit: LIST_MAX }))
                addToDigests(digests, bits, bytesOf(hash));
            }
            return digests;
          },
          signal,
        ),
      getDisk: async (signal) => (await ask("getDisk", async (handlers) => await handlers.getDisk(), signal)) as never,
    };
  }

  /** A stream that breaks, or whose sender ends, ends like any other. */
  async *#stream(parts: readonly PutChunkRequest[], breaksAt: number, isOver: () => boolean): AsyncGenerator<PutChunkRequest> {
    for (const [index, part] of parts.entries()) {
      if (index === breaksAt || isOver()) return;
      yield part;
      if (this.#chance.of(SLOW_SHARE)) await sleep(this.#chance.delay(SLOW_MS));
    }
  }
}

async function listOf(handlers: DiskHandlers, { bits, partition, after, limit, epoch }: ChunkPage): Promise<ListedChunk[]> {
  const listed: ListedChunk[] = [];
  const take = async ({ chunks }: ListChunksResponse): Promise<void> => {
    for (const { sha256, ...file } of chunks) listed.push({ ...file, hash: Buffer.from(sha256).toString("hex") });
  };
  const inside = FOLDERS.filter((folder) => folder >> (FOLDER_BITS - bits) === partition);
  for (const folder of inside) {
    await handlers.listChunks({ bits: FOLDER_BITS, partition: folder, after: bytesOf(after ?? ""), limit, epoch }, take);
  }
  return listed;
}

function bytesOf(hash: string): Buffer {
  return Buffer.from(hash, "hex");
}
