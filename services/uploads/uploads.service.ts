/**
 * Uploads that can be resumed, as rows: any gateway may go on with any of them. What is complete is made the source of its video by a job, for which
 * the process of this service needs a `storage` of its own.
 */
import type { ServiceSchema } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import { announceJobs, databaseMixin, type WithDatabase } from "../../mixins/database/database.mixin.ts";
import { repeat, type Repeated } from "../../mixins/repeat.ts";
import { worker, type WithWorker } from "../../mixins/worker.mixin.ts";
import { messageOf } from "../kernel/errors.ts";
import { broadcast, call, implement } from "../kernel/rpc.ts";
import { videos } from "../videos/contract.ts";
import { uploadProgressed, uploads, type Upload } from "./contract.ts";
import { finishUpload } from "./finish.ts";
import { tellVideo } from "./growth.ts";
import * as store from "./store/uploads.ts";

/** Joining is a few rows; only what has to be copied takes a disk's time from others. */
const FINISHES_AT_ONCE = 4;
/** Looks for uploads that have expired. */
const SWEEP_MS = 30_000;

interface UploadsService extends WithDatabase, WithWorker {
  limits: store.Limits;
  round: Repeated;
  /** Tells what a committed transaction changed. */
  announce(grown: store.Grown): Promise<Upload>;
  tell(upload: Omit<Upload, "state"> & { readonly state: Upload["state"] | "removed" }): Promise<void>;
  abandon(upload: Upload): Promise<void>;
  sweep(): Promise<void>;
}

const service: ServiceSchema<object, object, object, UploadsService> = {
  name: "uploads",
  mixins: [
    databaseMixin,
    worker<UploadsService>({
      groups: () => [{ kinds: ["upload.finish"], slots: FINISHES_AT_ONCE }],
      kinds: {
        "upload.finish": {
          completes: "mixin",
          async work({ payload }, { signal }) {
            const stored = await finishUpload(this, payload.upload, signal);
            if (stored) await this.tell(stored);
          },
        },
      },
    }),
  ],

  actions: implement<UploadsService>()(uploads, {
    async create({ as, video, ...about }) {
      const kind = video === null ? "partial" : "whole";
      return await store.create(this.db, { ...about, owner: as.id, video, kind, concat: null }, this.limits);
    },
    async join({ as, ...joined }) {
      return await this.announce(await store.join(this.db, { ...joined, owner: as.id, kind: "final", length: null }, this.limits));
    },
    async get({ as, id }) {
      return await store.findOwn(this.db, as, id);
    },
    async hold({ as, id }) {
      await store.findOwn(this.db, as, id);
      return await store.hold(this.db, id);
    },
    async beat({ hold, idle }) {
      return await store.beat(this.db, hold, idle);
    },
    async release({ hold }) {
      await store.release(this.db, hold);
      return null;
    },
    async declare({ hold, length }) {
      return await this.announce(await store.declare(this.db, hold, length));
    },
    async append({ hold, ...growth }) {
      const upload = await this.announce(await store.append(this.db, hold, growth, this.limits));
      await tellVideo(this, upload, growth.start === 0);
      return upload;
    },
    async pieces({ id, at }) {
      const { state, offset } = await store.find(this.db, id);
      return { state, offset, pieces: await store.piecesFrom(this.db, id, at) };
    },
    async remove({ as, id }) {
      const upload = await store.findOwn(this.db, as, id);
      await this.abandon(upload);
      await store.remove(this.db, id);
      await this.tell({ ...upload, state: "removed" });
      return null;
    },
  }),

  methods: {
    async announce(this: UploadsService, { upload, enqueued }: store.Grown): Promise<Upload> {
      await announceJobs(this.broker, enqueued);
      await this.tell(upload);
      return upload;
    },

    async tell(this: UploadsService, { id, video, owner, state, offset, length }) {
      await broadcast(this.broker, uploadProgressed, { id, video, owner, state, offset, length });
    },

    /** First the video, then the upload: in between, the upload expires once more, and nothing else is left behind. */
    async abandon(this: UploadsService, { video }: Upload) {
      if (video !== null) await call(this.broker, videos.abandon, { id: video });
    },

    async sweep(this: UploadsService) {
      for (const upload of await store.overdue(this.db)) {
        await this.abandon(upload);
        await store.expire(this.db, upload.id);
        await this.tell({ ...upload, state: "expired" });
      }
      await store.forget(this.db);
    },
  },

  created() {
    const { UPLOADS_OPEN_MAX, UPLOAD_EXPIRY_HOURS } = loadConfig();
    this.limits = { openMax: UPLOADS_OPEN_MAX, expiryHours: UPLOAD_EXPIRY_HOURS };
  },

  async started() {
    this.round = repeat(
      SWEEP_MS,
      async () => await this.sweep(),
      (error) => this.logger.warn("expired uploads cannot be looked for; trying again", { reason: messageOf(error) }),
    );
  },

  async stopped() {
    await this.round.stop();
  },
};

export default service;
