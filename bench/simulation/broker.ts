/**
 * The calls that services of a node make, answered by the rows of the run and by the disks: what Moleculer, the services blobs and ring, and
 * PostgreSQL are between them. Parameters and answers are those of the contracts.
 */
import { blobs } from "../../services/blobs/contract.ts";
import { failure } from "../../services/kernel/errors.ts";
import type { Caller } from "../../services/kernel/rpc.ts";
import { ring } from "../../services/ring/contract.ts";
import { storage } from "../../services/storage/contract.ts";
import { copyChunk } from "../../services/storage/disks/copy.ts";
import type { ChunkReader } from "../../services/storage/disks/chunk-read.ts";
import type { DiskPool } from "../../services/storage/disks/pool.ts";
import type { Rings } from "../../services/storage/rings.ts";
import type { Surroundings } from "./surroundings.ts";

type Route = (params: never) => unknown;

/** The node that makes the calls. */
interface Asking {
  readonly world: Surroundings;
  readonly rings: Rings;
  readonly pool: DiskPool;
  readonly chunks: ChunkReader;
  /** Runs a transaction. */
  query<T>(name: string, work: () => T): Promise<T>;
}

/** Actions of blobs that storage and upkeep call. */
const ROWS = [
  "lease",
  "commit",
  "reportMissing",
  "chunksIn",
  "digests",
  "known",
  "dueRepairs",
  "repaired",
  "repairFailed",
  "collect",
  "leaving",
  "areLeaving",
  "left",
] as const;

/** Ends nothing. */
const NEVER = new AbortController().signal;

export function callerOf(node: Asking): Caller {
  const transactions = transactionsOf(node);
  const local = storageOf(node);
  return {
    async call<R>(action: string, params: unknown): Promise<R> {
      const here = local.get(action);
      if (here) return (await here(params as never)) as R;
      const transaction = transactions.get(action);
      if (!transaction) throw failure("INTERNAL", `Nobody answers ${action} in the simulation.`);
      return (await node.query(action, () => transaction(params as never))) as R;
    },
  };
}

function transactionsOf({ world }: Asking): Map<string, Route> {
  const { rows } = world;
  return new Map<string, Route>([
    ...ROWS.map((action): [string, Route] => [blobs[action].name, (params) => rows[action](params)]),
    [ring.get.name, () => (world.rules.former ? world.ring.view : { ...world.ring.view, former: new Uint8Array(0), leaving: [] })],
    [ring.disks.name, () => world.ring.known],
    [ring.moving.name, (params) => world.ring.moving(params)],
    [ring.moved.name, (params) => world.ring.moved(params)],
  ]);
}

/** As the handlers of storage.service.ts. */
function storageOf(node: Asking): Map<string, Route> {
  const routes: [{ readonly name: string }, (params: never) => unknown][] = [
    [
      storage.copy,
      async ({ disk, ...wanted }: { chunk: string; size: number; disk: string; epoch?: number }) => ({
        copied: await copyChunk(node, { ...wanted, disk: await node.rings.disk(disk) }, NEVER),
      }),
    ],
    [
      storage.holds,
      async ({ disk, chunk, epoch }: { disk: string; chunk: string; epoch?: number }) =>
        (await node.pool.stat(await node.rings.disk(disk), { hash: chunk, epoch })) ?? null,
    ],
    [
      storage.list,
      async ({ disk, ...page }: { disk: string; bits: number; partition: number; after?: string; limit: number; epoch?: number }) =>
        (await node.pool.list(await node.rings.disk(disk), page)).map(({ hash, ...held }) => ({ chunk: hash, ...held })),
    ],
    [storage.digests, async ({ disk, bits }: { disk: string; bits: number }) => await node.pool.digests(await node.rings.disk(disk), bits)],
    [
      storage.erase,
      async ({ disk, chunk, version, epoch }: { disk: string; chunk: string; version: string; epoch: number }) =>
        await node.pool.erase(await node.rings.disk(disk), { hash: chunk, version, epoch }),
    ],
  ];
  return new Map(routes.map(([{ name }, route]) => [name, route]));
}
