/** The rest of the system as upkeep asks it. */
import type { Service } from "moleculer";
import { blobs } from "../blobs/contract.ts";
import { call, type Caller } from "../kernel/rpc.ts";
import { formerOwnersOf, ownersOf, ring } from "../ring/contract.ts";
import { storage } from "../storage/contract.ts";
import type { Ports } from "./work/ports.ts";

export function portsOf(caller: Caller, logger: Service["logger"]): Ports {
  return { ...rowsOf(caller), ...disksOf(caller), ...ringOf(caller), warn: (message, facts) => logger.warn(message, facts) };
}

function rowsOf(caller: Caller) {
  return {
    chunksIn: async (page) => await call(caller, blobs.chunksIn, page),
    digests: async (range) => await call(caller, blobs.digests, range),
    known: async (chunks) => await call(caller, blobs.known, { chunks: [...chunks] }),
    reportMissing: async (copies) => void (await call(caller, blobs.reportMissing, { copies: [...copies] })),
    dueRepairs: async (disk, limit) => await call(caller, blobs.dueRepairs, { disk, limit }),
    repaired: async (disk, chunks) => void (await call(caller, blobs.repaired, { disk, chunks: [...chunks] })),
    repairFailed: async (disk, chunks) => void (await call(caller, blobs.repairFailed, { disk, chunks: [...chunks] })),
    collect: async () => (await call(caller, blobs.collect, {})).more,
    leaving: async (after, limit) => await call(caller, blobs.leaving, { after, limit }),
    areLeaving: async (chunks) => await call(caller, blobs.areLeaving, { chunks: [...chunks] }),
    left: async (chunks) => void (await call(caller, blobs.left, { chunks: [...chunks] })),
  } satisfies Partial<Ports>;
}

function disksOf(caller: Caller) {
  return {
    copy: async (copy) => (await call(caller, storage.copy, copy)).copied,
    holds: async (copy) => (await call(caller, storage.holds, copy))?.version,
    list: async (disk, page) => await call(caller, storage.list, { disk, ...page }),
    digestsOn: async (disk, bits) => await call(caller, storage.digests, { disk, bits }),
    erase: async (copy) => void (await call(caller, storage.erase, copy)),
  } satisfies Partial<Ports>;
}

function ringOf(caller: Caller) {
  return {
    async ring() {
      const view = await call(caller, ring.get, {});
      return {
        epoch: view.epoch,
        partitionBits: view.partitionBits,
        owners: (chunk) => ownersOf(view, chunk).map(({ id }) => id),
        former: (chunk) => formerOwnersOf(view, chunk).map(({ id }) => id),
      };
    },
    moving: async (first, last) => await call(caller, ring.moving, { first, last }),
    moved: async ({ figures, ...moved }) => await call(caller, ring.moved, { ...moved, ...figures }),
  } satisfies Partial<Ports>;
}
