/** The catalogue of videos: what there is, what state it is in, and what plays. The truth is in PostgreSQL; every instance may do everything. */
import type { Context, ServiceSchema } from "moleculer";
import { announceJobs } from "../../mixins/database/database.mixin.ts";
import { entityMixin, type WithEntity } from "../../mixins/database/entity.mixin.ts";
import { one } from "../../mixins/database/sql.ts";
import { jobsCancelled } from "../jobs/contract.ts";
import { broadcast, implement } from "../kernel/rpc.ts";
import { segmentsStored, videoChanged, videos, type Video } from "./contract.ts";
import { create, notFound, remove, type Change } from "./store/catalogue.ts";
import { describedRenditions, listVideos, qualitiesOf, segmentsFrom, thumbnailOf, workOn } from "./store/read.ts";
import { videoFields, videoModel, type VideoRow } from "./store/video.model.ts";
import { playbackOf, processingOf, statusOf, videoOf } from "./store/views.ts";
import { want } from "./store/wanted.ts";
import { applyPlan, begin, fail, finish, publish, publishThumbnail } from "./store/work.ts";

interface VideosService extends WithEntity {
  /** The row of a video that is not deleted. VIDEO_NOT_FOUND. */
  row(ctx: Context, id: string): Promise<VideoRow>;
  views(rows: readonly VideoRow[]): Promise<Video[]>;
  view(row: VideoRow): Promise<Video>;
  /** Tells what a committed transaction changed. */
  announce(change: Change): Promise<null>;
}

const service: ServiceSchema<object, object, object, VideosService> = {
  name: "videos",
  mixins: [entityMixin({ model: videoModel, fields: videoFields })],

  actions: implement<VideosService>()(videos, {
    async create({ id, ...about }, ctx) {
      await this.announce(await create(this.db, { id, ...about }));
      return await this.view(await this.row(ctx, id));
    },
    async get({ id }, ctx) {
      return await this.view(await this.row(ctx, id));
    },
    async list(page) {
      const { rows, total, nextCursor } = await listVideos(this.db, page);
      return { items: await this.views(rows), total, hasMore: nextCursor !== null, nextCursor };
    },
    async status({ id }, ctx) {
      const row = await this.row(ctx, id);
      const work = (await workOn(this.db, [{ id, status: statusOf(row) }])).get(id);
      if (!work) throw notFound(id);
      return processingOf(row, work);
    },
    async remove({ id }) {
      return await this.announce(await remove(this.db, id));
    },

    async playback({ id }, ctx) {
      const row = await this.row(ctx, id);
      return playbackOf(row, await describedRenditions(this.db, row));
    },
    async segments(range) {
      return await segmentsFrom(this.db, range);
    },
    async want(segment) {
      const { segment: stored, moved } = await want(this.db, segment);
      await announceJobs(this.broker, moved);
      return stored;
    },
    async thumbnail({ id }) {
      return await thumbnailOf(this.db, id);
    },

    async begin({ job }) {
      return await this.announce(await begin(this.db, job));
    },
    async applyPlan({ job, ...plan }) {
      return await this.announce(await applyPlan(this.db, job, plan));
    },
    async publish({ job, ...publication }) {
      await broadcast(this.broker, segmentsStored, { id: await publish(this.db, job, publication) });
      return null;
    },
    async publishThumbnail({ job, ...picture }) {
      await publishThumbnail(this.db, job, picture);
      return null;
    },
    async finish({ job }) {
      return await this.announce(await finish(this.db, job));
    },
    async fail({ job, ...report }) {
      return await this.announce(await fail(this.db, job, report));
    },

    async health() {
      const began = performance.now();
      await one(this.db, "select 1");
      return { databaseMs: performance.now() - began };
    },
  }),

  methods: {
    async row(this: VideosService, ctx: Context, id: string): Promise<VideoRow> {
      const found = await this.getById(id);
      const row = found && (await this.transformDocuments<VideoRow>(ctx, {}, found));
      if (row === null || row.deletedAt !== null) throw notFound(id);
      return row;
    },

    async views(this: VideosService, rows: readonly VideoRow[]): Promise<Video[]> {
      const unready = rows.map((row) => ({ id: row.id, status: statusOf(row) })).filter(({ status }) => status !== "ready");
      const [qualities, work] = await Promise.all([
        qualitiesOf(
          this.db,
          rows.map(({ id }) => id),
        ),
        workOn(this.db, unready),
      ]);
      return rows.map((row) => videoOf(row, qualities.get(row.id) ?? [], work.get(row.id)));
    },

    async view(this: VideosService, row: VideoRow): Promise<Video> {
      const [video] = await this.views([row]);
      if (!video) throw notFound(row.id);
      return video;
    },

    async announce(this: VideosService, { id, status, enqueued, cancelled }: Change): Promise<null> {
      if (status) await broadcast(this.broker, videoChanged, { id, status });
      if (cancelled) await broadcast(this.broker, jobsCancelled, { videoId: id });
      await announceJobs(this.broker, enqueued ?? []);
      return null;
    },
  },
};

export default service;
