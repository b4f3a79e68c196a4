/** The catalogue of videos: what there is, what state it is in, and what plays. The truth is in PostgreSQL; every instance may do everything. */
import type { Context, ServiceSchema } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import { announceJobs } from "../../mixins/database/database.mixin.ts";
import { entityMixin } from "../../mixins/database/entity.mixin.ts";
import { one } from "../../mixins/database/sql.ts";
import { repeat } from "../../mixins/repeat.ts";
import { jobsCancelled } from "../jobs/contract.ts";
import { messageOf } from "../kernel/errors.ts";
import { broadcast, implement } from "../kernel/rpc.ts";
import { videoChanged, videos, type Video } from "./contract.ts";
import { analysts } from "./analysts.ts";
import { isQuiet } from "./domain/lifecycle.ts";
import { isListed } from "./domain/listing.ts";
import { KnownVideos } from "./known.ts";
import { Lists } from "./lists.ts";
import { owners } from "./owners.ts";
import type { VideosService } from "./self.ts";
import { abandon, arrive, reserve } from "./store/arrival.ts";
import { create, notFound, visible, type Change } from "./store/catalogue.ts";
import { emptyTrash } from "./store/edits.ts";
import { arrivedSource } from "./store/foreseen.ts";
import { grew } from "./store/foresight.ts";
import { forgetOldKeys } from "./store/idempotency.ts";
import { forgetOldPlays } from "./store/plays.ts";
import { videoFields, videoModel, type VideoRow } from "./store/video.model.ts";
import { forgetOldViewings } from "./store/viewings.ts";
import { viewers } from "./viewers.ts";
import { workers } from "./workers.ts";

/** What is kept for days may be kept for an hour longer. */
const TIDY_MS = 3_600_000;

const service: ServiceSchema<object, object, object, VideosService> = {
  name: "videos",
  mixins: [entityMixin({ model: videoModel, fields: videoFields })],

  actions: implement<VideosService>()(videos, {
    async create({ as, request, ...video }) {
      const asked = request && { ...request, owner: as.id ?? as.role };
      const creating = create(this.db, { ...video, owner: as.id, request: asked });
      await this.announce(creating, video.id);
      return await this.video((await creating).id);
    },
    async reserve({ as, ...video }) {
      await this.announce(reserve(this.db, { ...video, owner: as.id }), video.id);
      return await this.video(video.id);
    },
    async arrive({ id, source }) {
      return await this.announce(arrive(this.db, id, source), id);
    },
    async grew(growth) {
      await announceJobs(this.broker, await grew(this.db, growth));
      return null;
    },
    async arrived({ id }) {
      return await arrivedSource(this.db, id);
    },
    async abandon({ id }) {
      return await this.announce(abandon(this.db, id), id);
    },
    async get({ id, as }) {
      return visible(as, await this.video(id));
    },
    async list(listing) {
      const found = await this.lists.page(listing);
      const { nextCursor, corrected } = found;
      const searched = corrected === null ? listing : { ...listing, q: corrected };
      const isWhole = nextCursor === null && listing.page === 1 && listing.cursor === undefined;
      const describing = this.known.all(found.ids);
      const [described, length] = await Promise.all([describing, isWhole ? undefined : this.lists.total(searched)]);
      if (described.length === 0 || !described.every((video) => isQuiet(video, Date.now()))) this.lists.forgetPage(listing);
      const items = described.filter((video) => isListed(listing.as, listing, video));
      const { total, estimated } = length ?? { total: items.length, estimated: false };
      return { items, total, totalEstimated: estimated, hasMore: nextCursor !== null, nextCursor, corrected };
    },
    ...analysts,
    ...owners,
    ...viewers,
    ...workers,

    async health() {
      const began = performance.now();
      await one(this.db, "select 1");
      return { databaseMs: performance.now() - began };
    },
  }),

  created() {
    const losesEvents = loadConfig().NATS_URL !== undefined;
    this.known = new KnownVideos(this.db, { losesEvents });
    this.lists = new Lists(this.db, { losesEvents });
  },

  async started() {
    const { TRASH_DAYS } = loadConfig();
    const tidy = async (): Promise<void> => {
      const purged = await emptyTrash(this.db, TRASH_DAYS).finally(() => this.forget());
      if (purged > 0) this.logger.info("videos that had been in the trash for too long were purged", { purged, days: TRASH_DAYS });
      await forgetOldKeys(this.db);
      await forgetOldPlays(this.db);
      await forgetOldViewings(this.db);
    };
    const tell = (error: unknown): void => this.logger.warn("the trash could not be emptied; trying again", { reason: messageOf(error) });
    this.tidying = repeat(TIDY_MS, tidy, tell);
  },

  async stopped() {
    await this.tidying.stop();
  },

  methods: {
    async row(this: VideosService, ctx: Context, id: string): Promise<VideoRow> {
      const found = await this.getById(id);
      const row = found && (await this.transformDocuments<VideoRow>(ctx, {}, found));
      if (row === null || row.deletedAt !== null) throw notFound(id);
      return row;
    },

    async video(this: VideosService, id: string): Promise<Video> {
      const video = await this.known.find(id);
      if (video === undefined || video.status === "deleted") throw notFound(id);
      return video;
    },

    forget(this: VideosService, id?: string): void {
      this.known.forget(id);
      this.lists.forget();
    },

    async announce(this: VideosService, changing: Promise<Change | undefined>, about?: string): Promise<null> {
      // What fails may have been done all the same: of a commit the answer can be all that is lost.
      await changing.catch(() => this.forget(about));
      const change = await changing;
      if (!change) return null;
      const { id, status, enqueued, cancelled } = change;
      this.forget(id);
      if (status) await broadcast(this.broker, videoChanged, { id, status });
      if (cancelled) await broadcast(this.broker, jobsCancelled, { videoId: id });
      await announceJobs(this.broker, enqueued ?? []);
      return null;
    },
  },
};

export default service;
