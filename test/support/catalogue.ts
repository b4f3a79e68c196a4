/** A gateway on a real broker and a real socket, with the services that it calls in memory. They keep the contracts, and can be told to fail. */
import { createHash } from "node:crypto";
import type { AddressInfo } from "node:net";
import type { Readable } from "node:stream";
import { Loggers, ServiceBroker, type ServiceSchema } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import brokerOptions from "../../moleculer.config.ts";
import gateway from "../../services/gateway/gateway.service.ts";
import { jobs, type JobKind } from "../../services/jobs/contract.ts";
import { failure, type ErrorType } from "../../services/kernel/errors.ts";
import { broadcast, implement } from "../../services/kernel/rpc.ts";
import { ring, type DiskHealth } from "../../services/ring/contract.ts";
import { storage, type StoredBlob } from "../../services/storage/contract.ts";
import { transcoder, type TranscoderInfo } from "../../services/transcoder/contract.ts";
import { videoChanged, videos, type Playback, type SegmentRow, type Video } from "../../services/videos/contract.ts";

export interface Catalogue {
  readonly videos: Map<string, Video>;
  /** What each video was made of. */
  readonly sources: Map<string, { filename: string; blob: string }>;
  readonly playbacks: Map<string, Playback>;
  /** By `id/revision/rendition`. */
  readonly segments: Map<string, SegmentRow[]>;
  readonly thumbnails: Map<string, StoredBlob>;
  readonly blobs: Map<string, Buffer>;
  /** Streams that storage is reading now. */
  readonly open: Set<Readable>;
  /** Calls so far, by the action's name. */
  readonly calls: Map<string, number>;
  /** What an action is to fail with, by its name; or what it is to wait for first. */
  readonly failures: Map<string, Error>;
  readonly waits: Map<string, Promise<unknown>>;
  disks: DiskHealth[];
}

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

export async function startGateway(options: { env?: Record<string, string>; without?: readonly string[] } = {}): Promise<RunningGateway> {
  const config = loadConfig({ PORT: "0", HOST: "127.0.0.1", ...options.env });
  const catalogue = emptyCatalogue();
  const log: LogLine[] = [];
  const broker = new ServiceBroker({ ...brokerOptions(config), logger: capture(log), registry: { stopDelay: 0 } });
  const services = standIns(catalogue).filter(({ name }) => !options.without?.includes(name));
  for (const service of services) broker.createService(service);
  const service = broker.createService(gateway) as unknown as { server: { address(): AddressInfo } };
  await broker.start();
  const { port } = service.server.address();
  return { url: `http://127.0.0.1:${port}`, port, broker, catalogue, log, stop: () => broker.stop() };
}

/** Keeps what the gateway itself logs, and shows nothing. */
function capture(log: LogLine[]): never {
  const write = (level: string, [fields, message]: unknown[]): void =>
    void (typeof fields === "object" && log.push({ level, fields: fields as Record<string, unknown>, message }));
  const logger = { init() {}, stop: async () => {}, getLogHandler: ({ mod }: { mod?: string }) => (mod === "gateway" ? write : null) };
  return [Object.setPrototypeOf(logger, Loggers.Base.prototype)] as never;
}

function emptyCatalogue(): Catalogue {
  return {
    videos: new Map(),
    sources: new Map(),
    playbacks: new Map(),
    segments: new Map(),
    thumbnails: new Map(),
    blobs: new Map(),
    open: new Set(),
    calls: new Map(),
    failures: new Map(),
    waits: new Map(),
    disks: [disk("a", "up"), disk("b", "up"), disk("c", "up")],
  };
}

export function disk(zone: string, state: DiskHealth["state"]): DiskHealth {
  return {
    id: "00000000-0000-4000-8000-000000000000",
    address: "127.0.0.1:1",
    zone,
    weight: 1,
    state,
    capacityBytes: 1,
    freeBytes: 1,
    chunks: 0,
    reason: null,
  };
}

/** Puts bytes where `storage.fetch` finds them. */
export function keep(catalogue: Catalogue, bytes: Buffer): StoredBlob {
  const blob = createHash("sha256").update(bytes).digest("hex");
  catalogue.blobs.set(blob, bytes);
  return { blob, size: bytes.length };
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
  catalogue.playbacks.set(id, { id, revision: 1, visibility: "public", frameRate: [30, 1], renditions });
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
    error: null,
    ...about,
  };
}

/** Counts the call, waits or fails if it was told to. */
async function called(catalogue: Catalogue, name: string): Promise<void> {
  catalogue.calls.set(name, (catalogue.calls.get(name) ?? 0) + 1);
  await catalogue.waits.get(name);
  const error = catalogue.failures.get(name);
  if (error) throw error;
}

function find<T>(values: Map<string, T>, key: string, type: ErrorType): T {
  const value = values.get(key);
  if (value === undefined) throw failure(type, `There is no ${key}.`);
  return value;
}

function standIns(catalogue: Catalogue): ServiceSchema[] {
  return [videosStandIn(catalogue), storageStandIn(catalogue), ...operatingStandIns(catalogue)];
}

const unused = async (): Promise<never> => {
  throw failure("INTERNAL", "The gateway has no business with this action.");
};

function videosStandIn(catalogue: Catalogue): ServiceSchema {
  return {
    name: "videos",
    actions: implement()(videos, {
      async create({ source, filename, ...about }) {
        await called(catalogue, "videos.create");
        const video = videoOf({ ...about, size: source.size });
        catalogue.sources.set(video.id, { filename, blob: source.blob });
        catalogue.videos.set(video.id, video);
        return video;
      },
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
        return { items, total: all.length, hasMore, nextCursor: hasMore ? String(from + items.length) : null };
      },
      async status({ id }) {
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
      async remove({ id }, ctx) {
        find(catalogue.videos, id, "VIDEO_NOT_FOUND");
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
      async thumbnail({ id }) {
        return find(catalogue.thumbnails, id, "PICTURE_NOT_FOUND");
      },
      async health() {
        await called(catalogue, "videos.health");
        return { databaseMs: 1 };
      },
      begin: unused,
      applyPlan: unused,
      publish: unused,
      publishThumbnail: unused,
      finish: unused,
      fail: unused,
    }),
  };
}

function storageStandIn(catalogue: Catalogue): ServiceSchema {
  return {
    name: "storage",
    actions: implement()(storage, {
      async write({ maxBytes }, ctx) {
        const stream = ctx.stream as Readable;
        catalogue.open.add(stream);
        try {
          await called(catalogue, "storage.write");
          return keep(catalogue, await readAll(stream, maxBytes));
        } finally {
          catalogue.open.delete(stream);
        }
      },
      put: async ({ bytes }) => keep(catalogue, Buffer.from(bytes)),
      read: unused,
      async fetch({ blob }) {
        await called(catalogue, "storage.fetch");
        return find(catalogue.blobs, blob, "BLOB_NOT_FOUND");
      },
      stat: async ({ blob }) => ({ blob, size: find(catalogue.blobs, blob, "BLOB_NOT_FOUND").length }),
    }),
  };
}

async function readAll(stream: Readable, maxBytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of stream as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxBytes) throw failure("UPLOAD_TOO_LARGE", `At most ${maxBytes} bytes.`);
    parts.push(part);
  }
  if (size === 0) throw failure("UPLOAD_EMPTY", "No byte came.");
  return Buffer.concat(parts);
}

function operatingStandIns(catalogue: Catalogue): ServiceSchema[] {
  return [
    {
      name: "ring",
      actions: implement()(ring, {
        get: unused,
        register: unused,
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
        complete: unused,
        fail: unused,
        release: unused,
        async depth() {
          await called(catalogue, "jobs.depth");
          const kind: JobKind = "video.span";
          return [{ kind, queued: 2, running: 1, failed: 0, oldestS: 5 }];
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
      }),
    },
  ];
}
