/**
 * Bytes in and out of the disks, for the services of its own process. What it knows it may forget: the ring is asked for again, blobs are rows,
 * and so is what still has to be copied.
 */
import type { Readable } from "node:stream";
import type { Service, ServiceSchema } from "moleculer";
import { countBuffersAsHeap } from "../../config/heap.ts";
import { storageAccess } from "../../config/storage.ts";
import { loadConfig } from "../../config/index.ts";
import { DiskClients } from "../../mixins/disks/clients.ts";
import { repeat, type Repeated } from "../../mixins/repeat.ts";
import { failure, messageOf } from "../kernel/errors.ts";
import { implement } from "../kernel/rpc.ts";
import { ringChanged } from "../ring/contract.ts";
import { Catalogue } from "./catalogue.ts";
import { COPY_MS, FETCH_BYTES_MAX, storage } from "./contract.ts";
import { bytesOf, streamOf } from "./disks/blob-read.ts";
import { BlobWriter } from "./disks/blob-write.ts";
import { ChunkReader } from "./disks/chunk-read.ts";
import { copyChunk } from "./disks/copy.ts";
import { DiskPool } from "./disks/pool.ts";
import { cutsOf } from "./domain/cut.ts";
import { Buffers } from "./memory/buffers.ts";
import { Segments } from "./memory/segments.ts";
import { Spare } from "./memory/spare.ts";
import { Rings } from "./rings.ts";

/** Looks at the ring, and for disks that did not answer. */
const ROUND_MS = 2000;
/** What streams of fast readers may hold beyond the first megabyte of each: four that are as fast as can be. */
const SPARE_BYTES = 64 * 1024 * 1024;
/** As long as a caller of `fetch` waits. */
const FETCH_MS = 30_000;

interface StorageService extends Service {
  clients: DiskClients;
  pool: DiskPool;
  rings: Rings;
  catalogue: Catalogue;
  chunks: ChunkReader;
  writer: BlobWriter;
  spare: Spare;
  segments: Segments;
  round: Repeated;
  lookAtRing(): Promise<void>;
}

const service: ServiceSchema<object, object, object, StorageService> = {
  name: "storage",
  actions: implement<StorageService>()(storage, {
    async write({ maxBytes }, ctx) {
      if (!ctx.stream) throw failure("INVALID_REQUEST", "storage.write takes the bytes as a stream.");
      return await this.writer.write(ctx.stream as Readable, maxBytes);
    },
    async put({ bytes }) {
      return await this.writer.put(bytes);
    },
    async read({ blob, start, end }) {
      return streamOf(this, [...cutsOf(await this.catalogue.manifest(blob), start, end)]);
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
    async copy({ disk, ...wanted }) {
      return { copied: await copyChunk(this, { ...wanted, disk: await this.rings.disk(disk) }, AbortSignal.timeout(COPY_MS)) };
    },
    async holds({ disk, chunk, epoch }) {
      return (await this.pool.stat(await this.rings.disk(disk), { hash: chunk, epoch })) ?? null;
    },
    async list({ disk, ...page }) {
      const listed = await this.pool.list(await this.rings.disk(disk), page);
      return listed.map(({ hash, ...held }) => ({ chunk: hash, ...held }));
    },
    async digests({ disk, bits }) {
      return await this.pool.digests(await this.rings.disk(disk), bits);
    },
    async erase({ disk, chunk, version, epoch }) {
      return await this.pool.erase(await this.rings.disk(disk), { hash: chunk, version, epoch });
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
    countBuffersAsHeap();
    const { SEGMENT_CACHE_BYTES, WRITE_BUFFERS } = loadConfig();
    this.clients = new DiskClients(storageAccess(loadConfig()));
    this.pool = new DiskPool(this.clients);
    this.rings = new Rings(this.broker);
    this.catalogue = new Catalogue(this.broker, this.logger, SEGMENT_CACHE_BYTES);
    this.chunks = new ChunkReader(this);
    this.writer = new BlobWriter(this, new Buffers(WRITE_BUFFERS));
    this.spare = new Spare(SPARE_BYTES);
    this.segments = new Segments(SEGMENT_CACHE_BYTES);
  },

  async started() {
    const look = async (): Promise<void> => {
      await this.lookAtRing();
      const { disks, leaving } = await this.rings.current();
      await this.pool.probe([...disks, ...leaving], AbortSignal.timeout(ROUND_MS));
    };
    this.round = repeat(ROUND_MS, look, (error) => this.logger.debug("the disks cannot be asked", { reason: messageOf(error) }));
  },

  async stopped() {
    await this.round.stop();
    this.clients.close();
  },
};

export default service;
