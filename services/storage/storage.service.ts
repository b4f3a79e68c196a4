/**
 * Bytes in and out of the disks, for the services of its own process. What it knows it may forget: the ring is asked for again, blobs are rows,
 * and what still has to be copied is a job.
 */
import type { Readable } from "node:stream";
import type { ServiceSchema } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import { DiskClients } from "../../mixins/disks/clients.ts";
import { repeat, type Repeated } from "../../mixins/repeat.ts";
import { worker, type WithWorker } from "../../mixins/worker.mixin.ts";
import { jobs } from "../jobs/contract.ts";
import { failure, messageOf } from "../kernel/errors.ts";
import { call, implement } from "../kernel/rpc.ts";
import { ringChanged } from "../ring/contract.ts";
import { Catalogue } from "./catalogue.ts";
import { FETCH_BYTES_MAX, storage } from "./contract.ts";
import { bytesOf, streamOf } from "./disks/blob-read.ts";
import { BlobWriter } from "./disks/blob-write.ts";
import { ChunkReader } from "./disks/chunk-read.ts";
import { DiskPool } from "./disks/pool.ts";
import { repair } from "./disks/repair.ts";
import { cutsOf } from "./domain/cut.ts";
import { Buffers } from "./memory/buffers.ts";
import { Segments } from "./memory/segments.ts";
import { Rings } from "./rings.ts";

/** Looks at the ring, and for disks that did not answer. */
const ROUND_MS = 2000;
/** As long as a caller of `fetch` waits. */
const FETCH_MS = 30_000;
/** Each holds a chunk in memory, and takes a disk's time from readers. */
const REPAIRS_AT_ONCE = 2;

interface StorageService extends WithWorker {
  clients: DiskClients;
  pool: DiskPool;
  rings: Rings;
  catalogue: Catalogue;
  chunks: ChunkReader;
  writer: BlobWriter;
  segments: Segments;
  round: Repeated;
  lookAtRing(): Promise<void>;
}

const service: ServiceSchema<object, object, object, StorageService> = {
  name: "storage",
  mixins: [
    worker<StorageService>({
      groups: () => [{ kinds: ["chunk.repair"], slots: REPAIRS_AT_ONCE }],
      kinds: {
        "chunk.repair": {
          completes: "mixin",
          async work({ payload }, { signal }) {
            await repair(this, payload, signal);
          },
          // A repair is never given up, whatever the reason: an hour later a disk may be back, or a secret be right. Nor is it excused: it has
          // attempts without end, and their growing pauses keep a disk that is away for days from being asked for each of its chunks all the time.
          async fail(report) {
            await call(this.broker, jobs.fail, { ...report, final: false, excused: false });
          },
        },
      },
    }),
  ],

  actions: implement<StorageService>()(storage, {
    async write({ maxBytes }, ctx) {
      if (!ctx.stream) throw failure("INVALID_REQUEST", "storage.write takes the bytes as a stream.");
      return await this.writer.write(ctx.stream as Readable, maxBytes);
    },
    async put({ bytes }) {
      return await this.writer.put(bytes);
    },
    async read({ blob, start, end }) {
      return streamOf(this.chunks, [...cutsOf(await this.catalogue.manifest(blob), start, end)]);
    },
    async fetch({ blob }) {
      return await this.segments.get(blob, async () => {
        const manifest = await this.catalogue.manifest(blob);
        if (manifest.size > FETCH_BYTES_MAX) throw failure("INVALID_REQUEST", `Blob ${blob} is too large to be fetched whole: read it.`);
        return await bytesOf(this.chunks, cutsOf(manifest), AbortSignal.timeout(FETCH_MS));
      });
    },
    async stat({ blob }) {
      const { size } = await this.catalogue.manifest(blob);
      return { blob, size };
    },
  }),

  events: {
    async [ringChanged.name](this: StorageService) {
      await this.lookAtRing();
    },
  },

  methods: {
    /** What is known goes on to be used when the ring service does not answer. */
    async lookAtRing(this: StorageService) {
      await this.rings.refresh().catch((error: unknown) => this.logger.debug("the ring cannot be asked for", { reason: messageOf(error) }));
    },
  },

  created() {
    const { DISK_SECRET, SEGMENT_CACHE_BYTES, WRITE_BUFFERS } = loadConfig();
    if (DISK_SECRET === undefined) throw new Error("DISK_SECRET is not set, and a service of this process talks to disks.");
    this.clients = new DiskClients(DISK_SECRET);
    this.pool = new DiskPool(this.clients);
    this.rings = new Rings(this.broker);
    this.catalogue = new Catalogue(this.broker, this.logger);
    this.chunks = new ChunkReader(this);
    this.writer = new BlobWriter(this, new Buffers(WRITE_BUFFERS));
    this.segments = new Segments(SEGMENT_CACHE_BYTES);
  },

  async started() {
    const look = async (): Promise<void> => {
      await this.lookAtRing();
      await this.pool.probe((await this.rings.current()).disks, AbortSignal.timeout(ROUND_MS));
    };
    this.round = repeat(ROUND_MS, look, (error) => this.logger.debug("the disks cannot be asked", { reason: messageOf(error) }));
  },

  async stopped() {
    await this.round.stop();
    this.clients.close();
  },
};

export default service;
