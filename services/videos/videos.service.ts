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
import { owners } from "./owners.ts";
import type { VideosService } from "./self.ts";
import { abandon, arrive, reserve } from "./store/arrival.ts";
import { create, notFound, visible, type Change } from "./store/catalogue.ts";
import type { DescribedRow } from "./store/described.ts";
import { emptyTrash } from "./store/edits.ts";
import { arrivedSource } from "./store/foreseen.ts";
import { grew } from "./store/foresight.ts";
import { GatheredVideos } from "./store/gathered.ts";
import { forgetOldKeys } from "./store/idempotency.ts";
import { listVideos } from "./store/listing.ts";
import { forgetOldPlays } from "./store/plays.ts";
import { workOn } from "./store/read.ts";
import { videoFields, videoModel, type VideoRow } from "./store/video.model.ts";
import { processingOf, statusOf, videoOf } from "./store/views.ts";
import { Totals } from "./totals.ts";
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
      const change = await create(this.db, { ...video, owner: as.id, request: asked });
      await this.announce(change);
      return await this.video(change.id);
    },
    async reserve({ as, ...video }) {
      await this.announce(await reserve(this.db, { ...video, owner: as.id }));
      return await this.video(video.id);
    },
    async arrive({ id, source }) {
      return await this.announce(await arrive(this.db, id, source));
    },
    async grew(growth) {
      await announceJobs(this.broker, await grew(this.db, growth));
      return null;
    },
    async arrived({ id }) {
      return await arrivedSource(this.db, id);
    },
    async abandon({ id }) {
      return await this.announce(await abandon(this.db, id));
    },
    async get({ id, as }) {
      return visible(as, await this.video(id));
    },
    async list(listing) {
      const { rows, nextCursor, corrected } = await listVideos(this.db, listing, this.totals.guess);
      const searched = corrected === null ? listing : { ...listing, q: corrected };
      const isWhole = nextCursor === null && listing.page === 1 && listing.cursor === undefined;
      const [items, { total, estimated }] = await Promise.all([
        this.views(rows),
        isWhole ? { total: rows.length, estimated: false } : this.totals.of(searched),
      ]);
      return { items, total, totalEstimated: estimated, hasMore: nextCursor !== null, nextCursor, corrected };
    },
    async status({ id, as }, ctx) {
      const row = visible(as, await this.row(ctx, id));
      const work = (await workOn(this.db, [{ id, status: statusOf(row) }])).get(id);
      if (!work) throw notFound(id);
      return processingOf(row, work);
    },
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
    this.gathered = new GatheredVideos(this.db);
    this.totals = new Totals(this.db);
  },

  async started() {
    const { TRASH_DAYS } = loadConfig();
    const tidy = async (): Promise<void> => {
      const purged = await emptyTrash(this.db, TRASH_DAYS);
      if (purged > 0) this.logger.info("videos that had been in the trash for too long were purged", { purged, days: TRASH_DAYS });
      await forgetOldKeys(this.db);
      await forgetOldPlays(this.db);
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
      const row = await this.gathered.find(id);
      const [video] = row ? await this.views([row]) : [];
      if (!video) throw notFound(id);
      return video;
    },

    async views(this: VideosService, rows: readonly DescribedRow[]): Promise<Video[]> {
      const unready = rows.map((row) => ({ id: row.id, status: statusOf(row) })).filter(({ status }) => status !== "ready");
      const work = await workOn(this.db, unready);
      return rows.map((row) => videoOf(row, work.get(row.id)));
    },

    async announce(this: VideosService, { id, status, enqueued, cancelled }: Change): Promise<null> {
      this.totals.forget();
      if (status) await broadcast(this.broker, videoChanged, { id, status });
      if (cancelled) await broadcast(this.broker, jobsCancelled, { videoId: id });
      await announceJobs(this.broker, enqueued ?? []);
      return null;
    },
  },
};

export default service;
