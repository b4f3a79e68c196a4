/** Requests for segments that are still to come: held for a while, and never more of them than there is room for. */
import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { failure } from "../kernel/errors.ts";
import { call, type Caller } from "../kernel/rpc.ts";
import { videos, type SegmentRow } from "../videos/contract.ts";
import type { SegmentAddress } from "./domain/links.ts";
import { isGone } from "./http/reply.ts";

/** Players give a request at least 10 s to its first byte (hls.js), and count a 503 as a failed attempt: hold as long as they let us. */
const HOLD_MS = 8000;
/** How often the catalogue is asked without having been told anything: events may be lost. */
const ASK_MS = 1000;
/** A held request costs a connection and some KB, and once a segment is stored they all read it at once. */
const HELD_PER_VIDEO = 64;
/** A player asks for one segment of picture and one of sound at a time; this is room for some tabs, or for a household. */
const HELD_PER_CLIENT = 8;

/** Whoever waits. */
export interface Waiter {
  /** The address of the client. */
  readonly client: string;
  /** Aborted when the client has gone. */
  readonly gone: AbortSignal;
}

export function waiterOf(res: ServerResponse, client: string): Waiter {
  const controller = new AbortController();
  if (isGone(res)) controller.abort();
  else res.once("close", () => controller.abort());
  return { client, gone: controller.signal };
}

export class WaitingRoom {
  readonly #held = new Map<string, number>();
  /** What wakes those who wait for a video. */
  readonly #news = new Map<string, PromiseWithResolvers<void>>();
  /** Questions on their way: one for all who wait for the same segment. */
  readonly #asked = new Map<string, Promise<SegmentRow | null>>();
  readonly #closed = new AbortController();

  /** Where the segment lies, as soon as it is stored. VIDEO_SEGMENT_PENDING when that takes too long, or too many wait; SEGMENT_NOT_FOUND. */
  async segment(caller: Caller, at: SegmentAddress, { client, gone }: Waiter): Promise<SegmentRow> {
    const rooms = [
      { name: `video ${at.id}`, most: HELD_PER_VIDEO },
      { name: `client ${client}`, most: HELD_PER_CLIENT },
    ];
    if (rooms.some(({ name, most }) => this.#count(name) >= most)) return (await this.#ask(caller, at)) ?? refuse(at);
    for (const { name } of rooms) this.#held.set(name, this.#count(name) + 1);
    try {
      return await this.#wait(caller, at, AbortSignal.any([gone, this.#closed.signal]));
    } finally {
      for (const { name } of rooms) this.#leave(name);
    }
  }

  /** Something of this video may be there that was not before. */
  wake(id: string): void {
    this.#news.get(id)?.resolve();
    this.#news.delete(id);
  }

  /** Nobody is held any more, nor will be. */
  close(): void {
    this.#closed.abort();
  }

  async #wait(caller: Caller, at: SegmentAddress, over: AbortSignal): Promise<SegmentRow> {
    const deadline = performance.now() + HOLD_MS;
    for (;;) {
      const news = this.#newsOf(at.id);
      const stored = await this.#ask(caller, at);
      if (stored) return stored;
      const left = deadline - performance.now();
      if (left <= 0 || over.aborted) refuse(at);
      await untilEither(news, Math.min(left, ASK_MS), over);
    }
  }

  #ask(caller: Caller, { id, revision, rendition, number }: SegmentAddress): Promise<SegmentRow | null> {
    const key = `${id}/${revision}/${rendition}/${number}`;
    const asked = this.#asked.get(key);
    if (asked) return asked;
    const asking = call(caller, videos.want, { id, revision, rendition, number }).finally(() => this.#asked.delete(key));
    this.#asked.set(key, asking);
    return asking;
  }

  #newsOf(id: string): Promise<void> {
    const news = this.#news.get(id) ?? Promise.withResolvers<void>();
    this.#news.set(id, news);
    return news.promise;
  }

  #count(room: string): number {
    return this.#held.get(room) ?? 0;
  }

  /** The last one who waits for a video takes what would wake the next. */
  #leave(room: string): void {
    const left = this.#count(room) - 1;
    if (left > 0) return void this.#held.set(room, left);
    this.#held.delete(room);
    if (room.startsWith("video ")) this.#news.delete(room.slice("video ".length));
  }
}

/** Leaves no timer behind. */
async function untilEither(news: Promise<void>, ms: number, over: AbortSignal): Promise<void> {
  const rest = new AbortController();
  const timer = sleep(ms, undefined, { signal: AbortSignal.any([over, rest.signal]) }).catch(() => {});
  await Promise.race([news, timer]);
  rest.abort();
}

function refuse({ rendition, number }: SegmentAddress): never {
  throw failure("VIDEO_SEGMENT_PENDING", `The segment ${number} of ${rendition} is still being made.`);
}
