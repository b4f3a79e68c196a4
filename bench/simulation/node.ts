/** A process with the shipped code of storage and of upkeep, on a simulated broker and network. */
import type { DiskClients } from "../../mixins/disks/clients.ts";
import type { Service } from "moleculer";
import { call, type Caller } from "../../services/kernel/rpc.ts";
import { blobs } from "../../services/blobs/contract.ts";
import { BlobWriter } from "../../services/storage/disks/blob-write.ts";
import { ChunkReader } from "../../services/storage/disks/chunk-read.ts";
import { DiskPool } from "../../services/storage/disks/pool.ts";
import { Buffers } from "../../services/storage/memory/buffers.ts";
import { Rings } from "../../services/storage/rings.ts";
import { portsOf } from "../../services/upkeep/cluster.ts";
import type { Ports } from "../../services/upkeep/work/ports.ts";
import { callerOf } from "./broker.ts";
import { never } from "./files.ts";
import type { Life } from "./network.ts";
import type { Surroundings } from "./surroundings.ts";

/** As the round of storage.service.ts. */
const ROUND_MS = 2000;

export class SimulatedNode implements Life {
  readonly name: string;
  running = true;
  stoppedUntil = 0;
  readonly world: Surroundings;
  readonly caller: Caller;
  readonly pool: DiskPool;
  readonly rings: Rings;
  readonly catalogue: Catalogue;
  readonly chunks: ChunkReader;
  readonly upkeep: Ports;
  readonly movePorts: Ports;
  readonly #writer: BlobWriter;

  constructor(name: string, world: Surroundings) {
    this.name = name;
    this.world = world;
    this.caller = callerOf(this);
    const say = (text: string, facts: unknown): void => world.say(`${name}: ${text} ${JSON.stringify(facts)}`);
    const logger = { warn: say, debug: say } as unknown as Service["logger"];
    this.pool = new DiskPool({ of: ({ id }: { id: string }) => world.calls.clientOf(this, world.disk(id)) } as unknown as DiskClients);
    this.rings = new Rings(this.caller);
    this.catalogue = catalogueOf(this.caller);
    this.chunks = new ChunkReader(this);
    this.upkeep = portsOf(this.caller, logger);
    this.movePorts = world.rules.verifyBeforeDelete ? this.upkeep : hasty(this.upkeep);
    const { pool, catalogue, chunks } = this;
    const rings = world.rules.quorum ? this.rings : oneCopyIsEnough(this.rings);
    this.#writer = new BlobWriter({ pool, catalogue, rings, chunks }, new Buffers(0));
  }

  /** Runs a transaction. */
  async query<T>(name: string, work: () => T): Promise<T> {
    return await this.world.network.query(this, name, work);
  }

  /** Stores bytes; answers the blob. */
  async put(bytes: Uint8Array): Promise<string> {
    return (await this.#writer.put(bytes)).blob;
  }

  async read(chunk: string, size: number): Promise<Buffer> {
    return Buffer.concat(await this.chunks.read({ hash: chunk, size, from: 0, to: size }, new AbortController().signal));
  }

  /** Looks at the ring, and for disks that did not answer, for as long as it runs. */
  async look(): Promise<never> {
    for (;;) {
      try {
        await this.rings.refresh();
        const { disks, leaving } = await this.rings.current();
        await this.pool.probe([...disks, ...leaving], new AbortController().signal);
      } catch {
        // As the service does: what is known goes on to be used.
      }
      await this.world.clock.sleep(ROUND_MS);
      if (!this.running) return await never();
    }
  }
}

type Catalogue = ConstructorParameters<typeof BlobWriter>[0]["catalogue"] & ConstructorParameters<typeof ChunkReader>[0]["catalogue"];

/** As the one of storage, without its memory of manifests. */
function catalogueOf(caller: Caller): Catalogue {
  const reportMissing: Catalogue["reportMissing"] = async (copies) =>
    void (await call(caller, blobs.reportMissing, { copies: [...copies] }));
  return {
    lease: async (chunk, size) => await call(caller, blobs.lease, { chunks: [{ chunk, size }] }),
    commit: async (blob) => await call(caller, blobs.commit, blob),
    reportMissing,
    noteMissing: (copy) => void reportMissing([copy]).catch(() => undefined),
  };
}

/** Takes every partition for verified, and copies nothing before a delete. */
function hasty(ports: Ports): Ports {
  return {
    ...ports,
    moving: async (first, last) => (await ports.moving(first, last)).map((one) => ({ ...one, verified: true })),
    copy: async () => false,
  };
}

/** A ring of one disk asks for one copy. */
function oneCopyIsEnough(rings: Rings): Pick<Rings, "current" | "after"> {
  return {
    current: async () => ({ ...(await rings.current()), disks: (await rings.current()).disks.slice(0, 1) }),
    after: async (epoch) => ({ ...(await rings.after(epoch)), disks: (await rings.after(epoch)).disks.slice(0, 1) }),
  };
}
