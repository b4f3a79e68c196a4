/** A gateway on a real broker and a real socket, with the services that it calls in memory. They keep the contracts, and can be told to fail. */
import type { AddressInfo } from "node:net";
import { Loggers, ServiceBroker, type ServiceSchema } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import brokerOptions from "../../moleculer.config.ts";
import gateway from "../../services/gateway/gateway.service.ts";
import { jobs, type JobKind } from "../../services/jobs/contract.ts";
import { failure } from "../../services/kernel/errors.ts";
import { broadcast, implement } from "../../services/kernel/rpc.ts";
import { ring } from "../../services/ring/contract.ts";
import { transcoder, type TranscoderInfo } from "../../services/transcoder/contract.ts";
import { called, emptyCatalogue, find, keep, unused, type Catalogue } from "./memory.ts";
import { assertUnedited, ownersIn } from "./owners.ts";
import { storageStandIn } from "./stored.ts";
import { videoChanged, videos, type Video } from "../../services/videos/contract.ts";

export { disk, keep, type Catalogue } from "./memory.ts";

export interface RunningGateway {
  /** http://127.0.0.1:port */
  readonly url: string;
  readonly port: number;
  readonly broker: ServiceBroker;
  readonly catalogue: Catalogue;
  /** Everything the gateway logged. */
  readonly log: LogLine[];
  stop(): Promise<void>;
}

export interface LogLine {
  readonly level: string;
  readonly fields: Record<string, unknown>;
  readonly message: unknown;
}

interface GatewayOptions {
  readonly env?: Record<string, string>;
  readonly without?: readonly string[];
  /** Real services beside the stand-ins, or in their place. */
  readonly services?: readonly object[];
}

export async function startGateway(options: GatewayOptions = {}): Promise<RunningGateway> {
  const config = loadConfig({ PORT: "0", HOST: "127.0.0.1", ...options.env });
  const catalogue = emptyCatalogue();
  const log: LogLine[] = [];
  const broker = new ServiceBroker({ ...brokerOptions(config), logger: capture(log), registry: { stopDelay: 0 } });
  const real = (options.services ?? []) as readonly ServiceSchema[];
  const gone = [...(options.without ?? []), ...real.map(({ name }) => name)];
  for (const service of standIns(catalogue).filter(({ name }) => !gone.includes(name))) broker.createService(service);
  for (const service of real) broker.createService(service);
  const service = broker.createService(gateway) as unknown as { server: { address(): AddressInfo } };
  await broker.start();
  const { port } = service.server.address();
  const scheme = config.TLS_CERT_FILE === undefined ? "http" : "https";
  return { url: `${scheme}://127.0.0.1:${port}`, port, broker, catalogue, log, stop: () => broker.stop() };
}

/** Keeps what the gateway itself logs, and shows nothing. */
function capture(log: LogLine[]): never {
  const write = (level: string, [fields, message]: unknown[]): void =>
    void (typeof fields === "object" && log.push({ level, fields: fields as Record<string, unknown>, message }));
  const logger = { init() {}, stop: async () => {}, getLogHandler: ({ mod }: { mod?: string }) => (mod === "gateway" ? write : null) };
  return [Object.setPrototypeOf(logger, Loggers.Base.prototype)] as never;
}

/** A video with one picture rendition of `count` segments and one of sound, ready to be watched. Each segment's bytes say what it is. */
export function keepPlayable(catalogue: Catalogue, id: string, count = 3): void {
  catalogue.videos.set(id, videoOf({ id, title: "Playable", playable: true, hasThumbnail: true, status: "ready", progress: 1 }));
  const rendition = (name: string, kind: "video" | "audio", timescale: number) => ({
    name,
    kind,
    width: kind === "video" ? 1280 : 0,
    height: kind === "video" ? 720 : 0,
    bitrate: 2_000_000,
    averageBitrate: 1_500_000,
    codecs: kind === "video" ? "avc1.64001f" : "mp4a.40.2",
    timescale,
    init: keep(catalogue, Buffer.from(`${id} ${name} init`)),
    runs: [[count, timescale * 4]] as const,
  });
  const renditions = [rendition("720p", "video", 15_360), rendition("audio", "audio", 48_000)];
  catalogue.playbacks.set(id, { id, owner: null, captions: [], revision: 1, visibility: "public", frameRate: [30, 1], renditions });
  for (const { name, timescale } of renditions) {
    const rows = Array.from({ length: count }, (_, index) => ({
      number: index + 1,
      ...keep(catalogue, Buffer.from(`${id} ${name} segment ${index + 1} `.padEnd(1000, "."))),
      start: index * timescale * 4,
      duration: timescale * 4,
    }));
    catalogue.segments.set(`${id}/1/${name}`, rows);
  }
  catalogue.thumbnails.set(id, keep(catalogue, Buffer.from(`${id} picture`)));
  const tiles = { columns: 2, width: 160, height: 90, starts: [0, 4, 3600.5], duration: 3604.5 };
  const board = keep(catalogue, Buffer.from(`${id} storyboard`));
  catalogue.storyboards.set(id, { id, owner: null, visibility: "public", ...board, ...tiles });
}

export function videoOf(about: Partial<Video> & { id: string }): Video {
  return {
    title: "A video",
    description: "",
    tags: [],
    status: "queued",
    playable: false,
    progress: 0,
    visibility: "public",
    owner: null,
    createdAt: "2026-01-01T00:00:00.000Z",
    updatedAt: "2026-01-01T00:00:00.000Z",
    deletedAt: null,
    duration: null,
    size: 1,
    width: null,
    height: null,
    frameRate: null,
    container: null,
    videoCodec: null,
    audioCodec: null,
    renditions: [],
    views: 0,
    hasThumbnail: false,
    hasStoryboard: false,
    captions: [],
    edition: 1,
    error: null,
    ...about,
  };
}

function standIns(catalogue: Catalogue): ServiceSchema[] {
  return [videosStandIn(catalogue), storageStandIn(catalogue), ...operatingStandIns(catalogue)];
}

function videosStandIn(catalogue: Catalogue): ServiceSchema {
  return {
    name: "videos",
    actions: implement()(videos, {
      async create({ as: _as, source, filename, ...about }) {
        await called(catalogue, "videos.create");
        const video = videoOf({ ...about, size: source.size });
        catalogue.sources.set(video.id, { filename, blob: source.blob });
        catalogue.videos.set(video.id, video);
        return video;
      },
      async reserve({ as: _as, id, ...about }) {
        const video = videoOf({ ...about, id, status: "uploading" });
        catalogue.videos.set(id, video);
        return video;
      },
      arrive: unused,
      async watched(report) {
        find(catalogue.videos, report.id, "VIDEO_NOT_FOUND");
        catalogue.reports.push(report);
        return null;
      },
      analytics: unused,
      overview: unused,
      popular: unused,
      abandon: unused,
      async get({ id }) {
        await called(catalogue, "videos.get");
        return find(catalogue.videos, id, "VIDEO_NOT_FOUND");
      },
      async list({ page, limit, cursor, status }) {
        await called(catalogue, "videos.list");
        const all = [...catalogue.videos.values()].filter((video) => status === undefined || video.status === status);
        const from = cursor === undefined ? (page - 1) * limit : Number(cursor);
        const items = all.slice(from, from + limit);
        const hasMore = from + items.length < all.length;
        const nextCursor = hasMore ? String(from + items.length) : null;
        return { items, total: all.length, totalEstimated: false, hasMore, nextCursor, corrected: null };
      },
      async status({ id }) {
        await called(catalogue, "videos.status");
        const { status, playable, progress, error } = find(catalogue.videos, id, "VIDEO_NOT_FOUND");
        return {
          id,
          status,
          playable,
          progress,
          error,
          stages: [],
          renditions: [],
          spansDone: 0,
          spansTotal: 1,
          secondsLeft: null,
          attempts: 1,
        };
      },
      async remove({ id, editions }, ctx) {
        const video = find(catalogue.videos, id, "VIDEO_NOT_FOUND");
        assertUnedited(video, editions);
        catalogue.trash.set(id, video);
        catalogue.videos.delete(id);
        catalogue.playbacks.delete(id);
        await broadcast(ctx, videoChanged, { id, status: "deleted" });
        return null;
      },
      async playback({ id }) {
        await called(catalogue, "videos.playback");
        if (catalogue.videos.get(id)?.playable === false) throw failure("VIDEO_NOT_PLAYABLE", "Its first seconds are not converted yet.");
        return find(catalogue.playbacks, id, "VIDEO_NOT_FOUND");
      },
      async segments({ id, revision, rendition, from, count }) {
        await called(catalogue, "videos.segments");
        const rows = catalogue.segments.get(`${id}/${revision}/${rendition}`) ?? [];
        return rows.filter(({ number }) => number >= from && number < from + count);
      },
      async want({ id, revision, rendition, number }) {
        await called(catalogue, "videos.want");
        find(catalogue.videos, id, "VIDEO_NOT_FOUND");
        const row = catalogue.segments.get(`${id}/${revision}/${rendition}`)?.find((each) => each.number === number);
        if (!row && catalogue.videos.get(id)?.status === "ready") throw failure("SEGMENT_NOT_FOUND", "It will never come.");
        return row ?? null;
      },
      async played({ plays }) {
        catalogue.plays.push(...plays);
        return null;
      },
      async thumbnail({ id }) {
        return { id, owner: null, visibility: "public" as const, ...find(catalogue.thumbnails, id, "PICTURE_NOT_FOUND") };
      },
      async storyboard({ id }) {
        return find(catalogue.storyboards, id, "PICTURE_NOT_FOUND");
      },
      async health() {
        await called(catalogue, "videos.health");
        return { databaseMs: 1 };
      },
      ...ownersIn(catalogue),
      begin: unused,
      applyPlan: unused,
      reuse: unused,
      foresee: unused,
      grew: unused,
      arrived: unused,
      planAnew: unused,
      retryJob: unused,
      publish: unused,
      publishStoryboard: unused,
      publishThumbnail: unused,
      publishCaptions: unused,
      defer: unused,
      finish: unused,
      fail: unused,
    }),
  };
}

function operatingStandIns(catalogue: Catalogue): ServiceSchema[] {
  return [
    {
      name: "ring",
      actions: implement()(ring, {
        get: unused,
        register: unused,
        stage: unused,
        unstage: unused,
        scrub: unused,
        staged: unused,
        plan: unused,
        apply: unused,
        moves: unused,
        moving: unused,
        moved: unused,
        async disks() {
          await called(catalogue, "ring.disks");
          return catalogue.disks;
        },
      }),
    },
    {
      name: "jobs",
      actions: implement()(jobs, {
        claim: unused,
        beat: unused,
        spent: unused,
        complete: unused,
        fail: unused,
        excuse: unused,
        release: unused,
        list: unused,
        history: unused,
        get: unused,
        retry: unused,
        async depth() {
          await called(catalogue, "jobs.depth");
          const kind: JobKind = "video.span";
          return [{ kind, queued: 2, running: 1, failed: 0, retried: 0, oldestS: 5 }];
        },
      }),
    },
    {
      name: "transcoder",
      actions: implement()(transcoder, {
        async info() {
          await called(catalogue, "transcoder.info");
          const found: TranscoderInfo["found"] = "path";
          return { found, node: "n", ffmpeg: "ffmpeg version 5.1.9", running: 1, slots: 1 };
        },
        async still({ segment, frame }) {
          await called(catalogue, "transcoder.still");
          const of = catalogue.blobs.get(segment.blob);
          return keep(catalogue, Buffer.from(`frame ${frame} of ${String(of?.subarray(0, 80))}`));
        },
      }),
    },
  ];
}
