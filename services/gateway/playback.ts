/** From addresses to bytes: what players ask for again and again is remembered here, so that a segment costs no query. */
import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import { failure } from "../kernel/errors.ts";
import { SEGMENT_BATCH_MAX } from "../kernel/limits.ts";
import { call, type Caller } from "../kernel/rpc.ts";
import { storage } from "../storage/contract.ts";
import { videos, type Playback, type PlaybackRendition, type SegmentRow } from "../videos/contract.ts";
import { mpd } from "./domain/dash.ts";
import { masterPlaylist, mediaPlaylist } from "./domain/hls.ts";
import type { SegmentAddress, StreamAddress } from "./domain/links.ts";
import { segmentCount } from "./domain/presentation.ts";
import type { Content } from "./http/reply.ts";
import type { Waiter, WaitingRoom } from "./waiting.ts";

/** How long a video counts as existing without being asked for. The event of its deletion comes sooner; this is for when it is lost. */
const EXISTS_MS = 2000;
/** Videos that are watched at the same time through one gateway; an entry is about 2 KB. */
const VIDEOS_MAX = 2000;
/** Pages of at most 500 rows of about 200 bytes: 40 MB when all are full, which only very long videos do. */
const PAGES_MAX = 400;

interface StoredBytes {
  readonly blob: string;
  readonly size: number;
}
type SegmentPage = Map<number, SegmentRow>;

export class PlaybackDirectory {
  readonly #videos = new LRUCache<string, Promise<Playback>>({ max: VIDEOS_MAX, ttl: EXISTS_MS });
  readonly #thumbnails = new LRUCache<string, Promise<StoredBytes>>({ max: VIDEOS_MAX, ttl: EXISTS_MS });
  /** Rows never change: the revision is part of their address. Whether the video is still there is the first cache's question. */
  readonly #pages = new LRUCache<string, Promise<SegmentPage>>({ max: PAGES_MAX });
  readonly #waiting: WaitingRoom;

  constructor(waiting: WaitingRoom) {
    this.#waiting = waiting;
  }

  /** What was remembered of a video is no longer true. */
  forget(id: string): void {
    this.#videos.delete(id);
    this.#thumbnails.delete(id);
  }

  async dash(caller: Caller, id: string): Promise<Content> {
    return manifest("application/dash+xml", mpd(await this.#playback(caller, id)));
  }

  async hls(caller: Caller, id: string): Promise<Content> {
    return manifest("application/vnd.apple.mpegurl", masterPlaylist(await this.#playback(caller, id)));
  }

  async playlist(caller: Caller, at: StreamAddress): Promise<Content> {
    return manifest("application/vnd.apple.mpegurl", mediaPlaylist((await this.#rendition(caller, at)).rendition));
  }

  async initialisation(caller: Caller, at: StreamAddress): Promise<Content> {
    const { playback, rendition } = await this.#rendition(caller, at);
    return media(caller, playback, rendition, rendition.init);
  }

  /** One that is planned and not stored yet is waited for. */
  async segment(caller: Caller, at: SegmentAddress, waiter: Waiter): Promise<Content> {
    const { playback, rendition } = await this.#rendition(caller, at);
    if (at.number > segmentCount(rendition)) throw noSegment(at, String(at.number));
    return media(caller, playback, rendition, await this.#row(caller, at, waiter));
  }

  async thumbnail(caller: Caller, id: string): Promise<Content> {
    const picture = await remember(this.#thumbnails, id, () => call(caller, videos.thumbnail, { id }));
    return stored(caller, picture, { type: "image/jpeg", caching: "no-cache" });
  }

  #playback(caller: Caller, id: string): Promise<Playback> {
    return remember(this.#videos, id, () => call(caller, videos.playback, { id }));
  }

  async #rendition(caller: Caller, at: StreamAddress): Promise<{ playback: Playback; rendition: PlaybackRendition }> {
    const playback = await this.#playback(caller, at.id);
    const rendition = playback.renditions.find(({ name }) => name === at.rendition);
    if (!rendition || playback.revision !== at.revision) throw noSegment(at, "any");
    return { playback, rendition };
  }

  /** A page that was read while the video was still being converted may lack what is there by now. What is not there is never remembered. */
  async #row(caller: Caller, at: SegmentAddress, waiter: Waiter): Promise<SegmentRow> {
    const page = Math.floor((at.number - 1) / SEGMENT_BATCH_MAX);
    const key = `${at.id}/${at.revision}/${at.rendition}/${page}`;
    const rows = await remember(this.#pages, key, () => readPage(caller, at, page * SEGMENT_BATCH_MAX + 1));
    const row = rows.get(at.number) ?? (await this.#waiting.segment(caller, at, waiter));
    rows.set(row.number, row);
    return row;
  }
}

async function readPage(caller: Caller, { id, revision, rendition }: StreamAddress, from: number): Promise<SegmentPage> {
  const rows = await call(caller, videos.segments, { id, revision, rendition, from, count: SEGMENT_BATCH_MAX });
  return new Map(rows.map((row) => [row.number, row]));
}

/** One question for all who ask at the same time. A failure is forgotten; so is an answer that was on its way when the video changed. */
function remember<T>(cache: LRUCache<string, Promise<T>>, key: string, load: () => Promise<T>): Promise<T> {
  const known = cache.get(key);
  if (known) return known;
  const loading = load();
  cache.set(key, loading);
  loading.catch(() => {
    if (cache.peek(key) === loading) cache.delete(key);
  });
  return loading;
}

function noSegment({ rendition, revision }: StreamAddress, number: string): Error {
  return failure("SEGMENT_NOT_FOUND", `The video has no segment ${number} of ${rendition} in revision ${revision}.`);
}

/** Shared caches may keep for ever what everybody may see: its address never names other bytes. */
function media(caller: Caller, { visibility }: Playback, { kind }: PlaybackRendition, bytes: StoredBytes): Content {
  const caching = `${visibility === "private" ? "private" : "public"}, max-age=31536000, immutable`;
  return stored(caller, bytes, { type: kind === "audio" ? "audio/mp4" : "video/mp4", caching });
}

function stored(caller: Caller, { blob, size }: StoredBytes, { type, caching }: Pick<Content, "type" | "caching">): Content {
  return { type, size, caching, etag: `"${blob}"`, bytes: () => call(caller, storage.fetch, { blob }) };
}

/** Manifests change when a video does, and go when it goes: they are kept, but asked about each time. */
function manifest(type: string, text: string): Content {
  const bytes = Buffer.from(text);
  const etag = `"${createHash("sha256").update(bytes).digest("base64url")}"`;
  return { type, size: bytes.length, caching: "no-cache", etag, bytes: () => bytes };
}
