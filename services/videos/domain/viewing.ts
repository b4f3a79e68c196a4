/** One time that somebody watches a video, as a player tells of it, and what a report of it adds. Reports come from anybody, late, twice, and made up. */
import { z } from "zod";
import { uuid } from "../../kernel/schemas.ts";

const time = z.iso.datetime({ offset: true, error: "must be a time such as 2026-11-22T16:00:00Z" });
const length = z.number().min(0).max(1e9);

/** A word of a player: what was watched since the one before. */
const viewingEvent = z.strictObject({
  type: z.enum(["start", "beat", "seek", "rebuffer", "error", "end"]),
  at: time.describe("by the player's clock: of what is told twice, the second counts nothing"),
  position: length.optional().describe("where in the video"),
  watched: z
    .array(z.tuple([length, length]).refine(([from, to]) => from <= to, "must be [from, to], with from before to"))
    .max(20)
    .optional()
    .describe("which seconds of the video were shown since the last event"),
  bitrate: z.number().min(0).max(1e10).optional().describe("of what is shown, bits a second"),
  seconds: z
    .number()
    .min(0)
    .max(3600)
    .optional()
    .describe("how long it took: a start until the first picture, a rebuffer until it went on"),
});
export type ViewingEvent = z.infer<typeof viewingEvent>;
export const viewingReport = z.strictObject({
  session: uuid.describe("made up by the player, one for each time that somebody watches a video"),
  events: z.array(viewingEvent).min(1).max(100),
});
export const period = { from: time, to: time, interval: z.enum(["hour", "day", "week"]) };
/** By hours, since a day of a time zone may have 23. */
export const HOURS = { hour: 1, day: 24, week: 168 } as const;
export type Period = Readonly<z.infer<z.ZodObject<typeof period>>>;
export interface Statistics {
  /** As videos count them, whether or not the player tells anything. The rest is what players tell. */
  readonly views: number;
  readonly viewings: number;
  /** Each once a day. */
  readonly viewers: number;
  readonly watchSeconds: number;
  readonly averageViewSeconds: number;
  /** The median. */
  readonly startupSeconds: number | null;
  readonly rebufferRatio: number;
  readonly errors: number;
  readonly series: readonly { readonly at: string; readonly views: number; readonly viewers: number; readonly watchSeconds: number }[];
  /** The share of viewings that has seen each hundredth of the video; empty where nobody has told anything. */
  readonly retention: readonly number[];
}

/** So many are the most popular. */
export const POPULAR_MAX = 100;

/** The id of a video, and what it is worth at the moment. */
export interface Popular {
  readonly id: string;
  readonly score: number;
  readonly views: number;
}

/** The curve of who is still watching has so many points. */
export const PARTS = 100;
/** Nobody watches faster than this for long. */
const SPEED_MAX = 4;
/** What a first report may tell of before it, s: players report every ten or thirty seconds. */
const SLACK_S = 60;

export interface Viewing {
  /** The newest event that counted, by the player's clock, ms. */
  readonly heardMs: number;
  readonly watchedS: number;
  /** PARTS characters: 1 for each part of the video that was seen, else 0. */
  readonly parts: string;
  readonly startupS: number | null;
  readonly rebuffers: number;
  readonly rebufferedS: number;
  readonly errors: number;
}

/** `elapsedS` have gone by since the report before: more than can have been watched since then is not believed. */
export function extended(
  before: Viewing,
  events: readonly ViewingEvent[],
  { durationS, elapsedS }: { readonly durationS: number; readonly elapsedS: number },
): Viewing {
  const fresh = events.filter(({ at }) => Date.parse(at) > before.heardMs);
  const spans = fresh.flatMap(({ watched = [] }) => watched.map((span) => within(span, durationS)));
  const mostS = SPEED_MAX * elapsedS + SLACK_S;
  const of = (type: ViewingEvent["type"]): readonly ViewingEvent[] => fresh.filter((event) => event.type === type);
  return {
    heardMs: Math.max(before.heardMs, ...fresh.map(({ at }) => Date.parse(at))),
    watchedS: before.watchedS + Math.min(mostS, sum(spans.map(([from, to]) => to - from))),
    parts: Array.from({ length: PARTS }, (_, part) => (before.parts[part] === "1" || isSeen(part, spans, durationS) ? "1" : "0")).join(""),
    startupS: before.startupS ?? of("start").find((event) => event.seconds !== undefined)?.seconds ?? null,
    rebuffers: before.rebuffers + of("rebuffer").length,
    rebufferedS: before.rebufferedS + Math.min(elapsedS + SLACK_S, sum(of("rebuffer").map((event) => event.seconds ?? 0))),
    errors: before.errors + of("error").length,
  };
}

type Span = readonly [from: number, to: number];

function within([from, to]: Span, durationS: number): Span {
  const end = Math.min(to, durationS);
  return [Math.min(from, end), end];
}

/** By its middle: of spans that follow each other none is missed, and a glance is not a hundredth of a long film. */
function isSeen(part: number, spans: readonly Span[], durationS: number): boolean {
  const middle = ((part + 0.5) * durationS) / PARTS;
  return spans.some(([from, to]) => from <= middle && middle < to);
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0);
