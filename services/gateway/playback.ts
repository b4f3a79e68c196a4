/** From addresses to bytes: what players ask for again and again is remembered here, so that a segment costs no query. */
import { LRUCache } from "lru-cache";
import { failure } from "../kernel/errors.ts";
import { SEGMENT_BATCH_MAX } from "../kernel/limits.ts";
import { maySee, type Principal } from "../kernel/principal.ts";
import { call, type Caller } from "../kernel/rpc.ts";
import { storage } from "../storage/contract.ts";
import { transcoder } from "../transcoder/contract.ts";
import { videos, type Playback, type PlaybackRendition, type SegmentRow, type Storyboard, type VideoBlob } from "../videos/contract.ts";
import { mpd } from "./domain/dash.ts";
import { contentTag } from "./domain/edition.ts";
import { captionsPlaylist, masterPlaylist, mediaPlaylist } from "./domain/hls.ts";
import type { CaptionsAddress, SegmentAddress, StreamAddress } from "./domain/links.ts";
import type { ClientData } from "./domain/cmcd.ts";
import { durationS, frameAt, segmentCount } from "./domain/presentation.ts";
import { storyboardVtt } from "./domain/storyboard.ts";
import type { Content } from "./http/reply.ts";
import type { Plays } from "./plays.ts";
import type { Viewings } from "./viewings.ts";
import { Remembered } from "./remembered.ts";
import type { Waiter, WaitingRoom } from "./waiting.ts";

/** How long a video counts as existing without being asked for. The event of its deletion comes sooner; this is for when it is lost. */
const EXISTS_MS = 2000;
/** Videos that are watched at the same time through one gateway; an entry is about 2 KB. */
const VIDEOS_MAX = 2000;
/** Pages of at most 500 rows of about 200 bytes: 40 MB when all are full, which only very long videos do. */
const PAGES_MAX = 400;

/** Single frames that were asked for lately, of up to some 300 KB. */
const STILLS_MAX = 64;
/** Lines of the quality that single frames are taken from: enough for a picture on a page, at half the work of 1080. */
const STILL_LINES_MAX = 720;

const HLS = "application/vnd.apple.mpegurl";

interface StoredBytes {
  readonly blob: string;
  readonly size: number;
}
type SegmentPage = Map<number, SegmentRow>;

/** Who watches. What is remembered is the same for everybody; who may see it is looked at each time. */
export interface Viewer {
  readonly caller: Caller;
  readonly as: Principal;
  /** Of the address that was asked: what a manifest names is asked with it, too. */
  readonly signature: string | undefined;
  /** Whom a view counts for; undefined for who asks without wanting the bytes. */
  readonly viewer: string | undefined;
  /** What its player says of itself. */
  readonly data: ClientData | undefined;
}

export class PlaybackDirectory {
  readonly #videos = new Remembered<Playback>({ max: VIDEOS_MAX, freshMs: EXISTS_MS });
  readonly #thumbnails = new Remembered<VideoBlob>({ max: VIDEOS_MAX, freshMs: EXISTS_MS });
  readonly #storyboards = new Remembered<Storyboard>({ max: VIDEOS_MAX, freshMs: EXISTS_MS });
  readonly #stills = new LRUCache<string, Promise<Uint8Array>>({ max: STILLS_MAX });
  /** Rows never change: the revision is part of their address. Whether the video is still there is the first cache's question. */
  readonly #pages = new LRUCache<string, Promise<SegmentPage>>({ max: PAGES_MAX });
  readonly #waiting: WaitingRoom;
  readonly #plays: Plays;
  readonly #viewings: Viewings;

  constructor(waiting: WaitingRoom, plays: Plays, viewings: Viewings) {
    this.#waiting = waiting;
    this.#plays = plays;
    this.#viewings = viewings;
  }

  /** What was remembered of a video is no longer true. */
  forget(id: string): void {
    this.#videos.forget(id);
    this.#thumbnails.forget(id);
    this.#storyboards.forget(id);
  }

  async dash(viewer: Viewer, id: string): Promise<Content> {
    const playback = await this.#playback(viewer, id);
    return manifest(viewer, playback, "application/dash+xml", mpd(playback, shownBy(viewer)));
  }

  async hls(viewer: Viewer, id: string): Promise<Content> {
    const playback = await this.#playback(viewer, id);
    return manifest(viewer, playback, HLS, masterPlaylist(playback, shownBy(viewer)));
  }

  async playlist(viewer: Viewer, at: StreamAddress): Promise<Content> {
    const { playback, rendition } = await this.#rendition(viewer, at);
    return manifest(viewer, playback, HLS, mediaPlaylist(rendition, shownBy(viewer)));
  }

  async initialisation(viewer: Viewer, at: StreamAddress): Promise<Content> {
    const { playback, rendition } = await this.#rendition(viewer, at);
    return media(viewer, playback, rendition, rendition.init);
  }

  /** One that is planned and not stored yet is waited for. */
  async segment(viewer: Viewer, at: SegmentAddress, waiter: Waiter): Promise<Content> {
    const { playback, rendition } = await this.#rendition(viewer, at);
    if (at.number > segmentCount(rendition)) throw noSegment(at, `segment ${at.number}`);
    const row = await this.#row(viewer.caller, at, waiter);
    if (viewer.viewer !== undefined && rendition.kind === "video") {
      const seconds = row.duration / rendition.timescale;
      const { viewer: name, as, data } = viewer;
      this.#plays.watched({ id: at.id, viewer: name, number: at.number, seconds, totalS: durationS(playback) });
      const from = row.start / rendition.timescale;
      if (data) this.#viewings.given({ id: at.id, as, viewer: name, data, number: at.number, from, to: from + seconds });
    }
    return media(viewer, playback, rendition, row);
  }

  async thumbnail(viewer: Viewer, id: string): Promise<Content> {
    const { caller, as } = viewer;
    return picture(viewer, seen(as, await this.#thumbnails.get(id, () => call(caller, videos.thumbnail, { id }))));
  }

  /** The frame at a time, s, rounded down to whole seconds: frames are few then, and each is made once for many. INVALID_REQUEST behind the end. Where it is not made yet it is waited for, as players do. */
  async still(viewer: Viewer, id: string, seconds: number, waiter: Waiter): Promise<Content> {
    const playback = await this.#playback(viewer, id);
    const end = durationS(playback);
    if (seconds > end) {
      throw failure("INVALID_REQUEST", `The video ends after ${end.toFixed(3)} s.`, {
        fields: [{ path: "t", message: `must be at most ${end.toFixed(3)}` }],
      });
    }
    const rendition = stillRendition(playback);
    const { number, frame } = frameAt(rendition, playback.frameRate, Math.floor(seconds));
    const at = { id, revision: playback.revision, rendition: rendition.name, number };
    // Each waits for himself: whoever goes takes nobody with him.
    const { blob, size } = await this.#row(viewer.caller, at, waiter);
    const bytes = await remember(this.#stills, `${id}/${at.revision}/${at.rendition}/${number}/${frame}`, async () => {
      const taken = await call(viewer.caller, transcoder.still, { init: rendition.init, segment: { blob, size }, frame });
      return await call(viewer.caller, storage.fetch, { blob: taken.blob });
    });
    return { type: "image/jpeg", size: bytes.length, caching: asksAgain(playback), etag: contentTag(bytes), bytes: () => bytes };
  }

  async storyboard(viewer: Viewer, id: string): Promise<Content> {
    return picture(viewer, await this.#storyboard(viewer, id));
  }

  async storyboardTimes(viewer: Viewer, id: string): Promise<Content> {
    const [playback, storyboard] = await Promise.all([this.#playback(viewer, id), this.#storyboard(viewer, id)]);
    return manifest(viewer, playback, "text/vtt", storyboardVtt(storyboard, `storyboard.jpg${shownBy(viewer)}`));
  }

  async captions({ caller, as }: Viewer, at: CaptionsAddress): Promise<Content> {
    const of = seen(as, await call(caller, videos.captions, at));
    return stored(caller, of, { type: "text/vtt", caching: asksAgain(of) });
  }

  async captionsPlaylist(viewer: Viewer, { id, language }: CaptionsAddress): Promise<Content> {
    const playback = await this.#playback(viewer, id);
    if (!playback.captions.includes(language)) throw failure("CAPTIONS_NOT_FOUND", `The video ${id} has no captions in ${language}.`);
    return manifest(viewer, playback, HLS, captionsPlaylist(playback, language, shownBy(viewer)));
  }

  async #storyboard({ caller, as }: Viewer, id: string): Promise<Storyboard> {
    return seen(as, await this.#storyboards.get(id, () => call(caller, videos.storyboard, { id })));
  }

  async #playback({ caller, as }: Viewer, id: string): Promise<Playback> {
    return seen(as, await this.#videos.get(id, () => call(caller, videos.playback, { id })));
  }

  async #rendition(viewer: Viewer, at: StreamAddress): Promise<{ playback: Playback; rendition: PlaybackRendition }> {
    const playback = await this.#playback(viewer, at.id);
    const rendition = playback.renditions.find(({ name }) => name === at.rendition);
    if (!rendition || playback.revision !== at.revision) throw noSegment(at, "stream");
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

/** The largest that is not larger than a page needs, else the smallest. */
function stillRendition({ renditions }: Playback): PlaybackRendition {
  const pictures = renditions.filter(({ kind }) => kind === "video").toSorted((a, b) => lines(b) - lines(a));
  return (pictures.find((each) => lines(each) <= STILL_LINES_MAX) ?? pictures.at(-1))!;
}

function lines({ width, height }: PlaybackRendition): number {
  return Math.min(width, height);
}

function noSegment({ rendition, revision }: StreamAddress, what: string): Error {
  return failure("SEGMENT_NOT_FOUND", `The video has no ${what} of ${rendition} in revision ${revision}: its manifest tells which it has.`);
}

/** Whoever may not see a video is told that there is none. */
function seen<T extends Parameters<typeof maySee>[1]>(as: Principal, of: T): T {
  if (!maySee(as, of)) throw failure("VIDEO_NOT_FOUND", `There is no video ${of.id}.`);
  return of;
}

/** What stands behind each address in a manifest. */
function shownBy({ signature }: Viewer): string {
  return signature === undefined ? "" : `?signature=${signature}`;
}

/** Shared caches may keep for ever what everybody may see: its address never names other bytes. */
function media({ caller }: Viewer, playback: Playback, { kind }: PlaybackRendition, bytes: StoredBytes): Content {
  const caching = `${isShared(playback) ? "public" : "private"}, max-age=31536000, immutable`;
  return stored(caller, bytes, { type: kind === "audio" ? "audio/mp4" : "video/mp4", caching });
}

function isShared({ visibility }: Pick<Playback, "visibility">): boolean {
  return visibility !== "private";
}

/** Kept, but asked about each time: it may be replaced under its address. */
function asksAgain(of: Pick<Playback, "visibility">): string {
  return isShared(of) ? "no-cache" : "private, no-cache";
}

function picture({ caller }: Viewer, of: VideoBlob): Content {
  return stored(caller, of, { type: "image/jpeg", caching: asksAgain(of) });
}

function stored(caller: Caller, { blob, size }: StoredBytes, { type, caching }: Pick<Content, "type" | "caching">): Content {
  return { type, size, caching, etag: `"${blob}"`, bytes: () => call(caller, storage.fetch, { blob }) };
}

/** Manifests change when a video does, and go when it goes: they are kept, but asked about each time. One that carries a signature belongs to whoever was handed it. */
function manifest({ signature }: Viewer, playback: Playback, type: string, text: string): Content {
  const bytes = Buffer.from(text);
  const secret = signature !== undefined;
  return {
    type,
    size: bytes.length,
    caching: secret || !isShared(playback) ? "private, no-cache" : "no-cache",
    etag: contentTag(bytes),
    secret,
    bytes: () => bytes,
  };
}
