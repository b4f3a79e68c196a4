/** The catalogue of blobs. A blob exists from the moment its row is committed, and never changes. */
import { LRUCache } from "lru-cache";
import type { ServiceSchema } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import { databaseMixin, type WithDatabase } from "../../mixins/database/database.mixin.ts";
import { failure } from "../kernel/errors.ts";
import { implement } from "../kernel/rpc.ts";
import { blobs, type BlobManifest } from "./contract.ts";
import { blobName } from "./domain/manifest.ts";
import { concatBlobs, findBlob } from "./store/blobs.ts";
import { chunksIn, digestsOf, knownChunks } from "./store/chunks.ts";
import { backlog, disksDue, forgetCopies, noteMissing, postponeCopies, takeDue } from "./store/copies.ts";
import { collect, forgetChunks, leavingChunks, leavingOf } from "./store/garbage.ts";
import { unneeded, usage } from "./store/usage.ts";
import { Writes } from "./store/writes.ts";

/** Manifests in memory, as a share of what segments may take: by default those of 27,000 segments, or of 80 of the largest sources. */
const CACHE_SHARE = 1 / 4;
/** Also where no segment is kept: one blob is read in many ranges, and that of the largest upload (50 GiB) takes 206 KB. */
const CACHE_BYTES_MIN = 256 * 1024;
/** What an entry weighs besides its hashes: its name twice, a map's place and two objects. */
const ENTRY_BYTES = 600;

interface BlobsService extends WithDatabase {
  writes: Writes;
  manifests: LRUCache<string, BlobManifest>;
  graceSeconds: number;
}

const service: ServiceSchema<object, object, object, BlobsService> = {
  name: "blobs",
  mixins: [databaseMixin],

  actions: implement<BlobsService>()(blobs, {
    async lease({ chunks }) {
      return await this.writes.lease(chunks);
    },
    async commit(written) {
      const blob = blobName(written.size, written.chunks);
      await this.writes.commit({ ...written, blob });
      return { blob };
    },
    async concat({ parts }) {
      const { blob, size } = await concatBlobs(this.db, parts);
      return { blob, size };
    },
    async get({ blob }) {
      const manifest = this.manifests.get(blob) ?? (await findBlob(this.db, blob));
      if (!manifest) throw failure("BLOB_NOT_FOUND", `There is no blob ${blob}.`);
      this.manifests.set(blob, manifest);
      return manifest;
    },
    async reportMissing({ copies }) {
      await noteMissing(this.db, copies);
      return null;
    },

    async chunksIn(page) {
      return await chunksIn(this.db, page);
    },
    async digests(range) {
      return await digestsOf(this.db, range);
    },
    async known({ chunks }) {
      return await knownChunks(this.db, chunks);
    },

    async disksDue() {
      return await disksDue(this.db);
    },
    async dueRepairs({ disk, limit }) {
      return await takeDue(this.db, disk, limit);
    },
    async repaired({ disk, chunks }) {
      await forgetCopies(this.db, disk, chunks);
      return null;
    },
    async repairFailed({ disk, chunks }) {
      await postponeCopies(this.db, disk, chunks);
      return null;
    },
    async backlog() {
      return await backlog(this.db);
    },

    async collect() {
      return await collect(this.db, this.graceSeconds);
    },
    async leaving({ after, limit }) {
      return await leavingChunks(this.db, after ?? "", limit);
    },
    async areLeaving({ chunks }) {
      return await leavingOf(this.db, chunks);
    },
    async left({ chunks }) {
      await forgetChunks(this.db, chunks);
      return null;
    },

    async unneeded() {
      return await unneeded(this.db);
    },
    async usage() {
      return await usage(this.db);
    },
  }),

  created() {
    const { COLLECT_GRACE_SECONDS, SEGMENT_CACHE_BYTES } = loadConfig();
    this.graceSeconds = COLLECT_GRACE_SECONDS;
    this.writes = new Writes(this.db, COLLECT_GRACE_SECONDS);
    const maxSize = Math.max(CACHE_BYTES_MIN, Math.floor(SEGMENT_CACHE_BYTES * CACHE_SHARE));
    this.manifests = new LRUCache({ maxSize, sizeCalculation: ({ chunks }) => chunks.length + ENTRY_BYTES });
  },
};

export default service;
