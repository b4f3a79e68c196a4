/** The catalogue of blobs. A blob exists from the moment its row is committed, and never changes. */
import { LRUCache } from "lru-cache";
import type { ServiceSchema } from "moleculer";
import { announceJobs, databaseMixin, type WithDatabase } from "../../mixins/database/database.mixin.ts";
import { transaction, type Tx } from "../../mixins/database/sql.ts";
import { failure } from "../kernel/errors.ts";
import { implement } from "../kernel/rpc.ts";
import { blobs, type BlobManifest } from "./contract.ts";
import { blobName } from "./domain/manifest.ts";
import { assertCurrent, enqueueRepairs, findBlob, insertBlob } from "./store/blobs.ts";

/** Manifests in memory: those of 100,000 segments, or of 80 of the largest sources. */
const CACHE_BYTES = 16 * 1024 * 1024;
/** What an entry weighs besides its hashes. */
const ENTRY_BYTES = 128;

interface BlobsService extends WithDatabase {
  manifests: LRUCache<string, BlobManifest>;
  /** Commits `work`, then wakes the workers for the repairs that it ordered. */
  repairing(work: (tx: Tx) => ReturnType<typeof enqueueRepairs>): Promise<void>;
}

const service: ServiceSchema<object, object, object, BlobsService> = {
  name: "blobs",
  mixins: [databaseMixin],

  actions: implement<BlobsService>()(blobs, {
    async commit({ epoch, size, chunks, missing }) {
      const blob = blobName(size, chunks);
      await this.repairing(async (tx) => {
        await assertCurrent(tx, epoch);
        await insertBlob(tx, { blob, size, chunks });
        return await enqueueRepairs(tx, missing);
      });
      return { blob };
    },
    async get({ blob }) {
      const manifest = this.manifests.get(blob) ?? (await findBlob(this.db, blob));
      if (!manifest) throw failure("BLOB_NOT_FOUND", `There is no blob ${blob}.`);
      this.manifests.set(blob, manifest);
      return manifest;
    },
    async reportMissing(copy) {
      await this.repairing(async (tx) => await enqueueRepairs(tx, [copy]));
      return null;
    },
  }),

  methods: {
    async repairing(this: BlobsService, work: (tx: Tx) => ReturnType<typeof enqueueRepairs>) {
      await announceJobs(this.broker, await transaction(this.db, work));
    },
  },

  created() {
    this.manifests = new LRUCache({ maxSize: CACHE_BYTES, sizeCalculation: ({ chunks }) => chunks.length + ENTRY_BYTES });
  },
};

export default service;
