/**
 * Looks at a source while it is still being uploaded. Only what needs no guess is planned (decision 0033): an MP4 whose index comes first. Its plan is the
 * one that the whole source will have.
 */
import { errorType } from "../../kernel/errors.ts";
import { factsOf, type SourceFacts } from "../domain/facts.ts";
import { needsOf, planOf } from "../domain/plan.ts";
import { candidateOf, type SourceLimits } from "../domain/probe.ts";
import { reachIn, type Reach } from "../domain/sample-tables.ts";
import { HEAD_BYTES, sniff } from "../domain/sniff.ts";
import type { Demuxer } from "../domain/whitelist.ts";
import { probe } from "../ffmpeg/probe.ts";
import { removeFolder } from "../ffmpeg/sandbox.ts";
import { NotYetThere, serveSource, type Source } from "../ffmpeg/source.ts";
import type { InspectionSettings } from "./inspect.ts";
import { indexInFront, joined, timelinesOf } from "./index.ts";
import type { ForeseenPlan, Hand } from "./ports.ts";

export interface Uploading {
  readonly upload: string;
  /** Bytes that it will have. */
  readonly size: number;
}

/** What has not come by then is waited for in the queue: people leave uploads behind, and each would keep a place. */
const WAIT_MS = 1000;

export async function foresee(uploading: Uploading, hand: Hand, settings: InspectionSettings): Promise<void> {
  try {
    await hand.ports.foresee(uploading, await planAhead(uploading, hand, settings).catch(untilAllHasCome));
  } catch (error) {
    if (!(error instanceof NotYetThere)) throw error;
    await hand.ports.lookAgain(uploading, error.byte + 1);
  }
}

/** What is wrong with a source is told when all of it is there, by whoever inspects it then. */
function untilAllHasCome(error: unknown): undefined {
  if (!errorType(error)?.startsWith("SOURCE_")) throw error;
}

async function planAhead(uploading: Uploading, hand: Hand, { limits, ...settings }: InspectionSettings): Promise<ForeseenPlan | undefined> {
  const { size } = uploading;
  const source = hand.ports.open({ ...uploading, waitMs: WAIT_MS });
  const read = async (start: number, end: number) => await source.read(start, end);
  const demuxer = sniff(await joined(await read(0, Math.min(size, HEAD_BYTES))));
  const moov = demuxer === "mov" ? await indexInFront(size, read) : undefined;
  if (!moov) return undefined;
  const candidate = candidateOf(await look(source, demuxer, hand, limits), demuxer, limits);
  const timelines = timelinesOf(candidate, moov, size);
  const facts = timelines && factsOf(candidate, timelines, limits);
  // In one piece it cannot be begun before its end.
  if (!facts?.seekable) return undefined;
  const plan = planOf(facts, { ...uploading, demuxer }, settings);
  const reaches = reachesOf(facts, moov);
  return { facts, plan: { ...plan, tasks: plan.tasks.map((task) => ({ ...task, needsBytes: needsOf(task, size, reaches) })) } };
}

async function look(source: Source, demuxer: Demuxer, { tools, signal }: Hand, limits: SourceLimits): Promise<unknown> {
  const folder = await tools.folder();
  const served = await serveSource(source);
  try {
    return await probe({ ffprobe: tools.ffprobe, folder, url: served.url, demuxer, limits, signal });
  } finally {
    await served.close();
    await removeFolder(folder);
    // Bytes that did not come in time look like damage, and are none.
    served.throwFailure();
  }
}

function reachesOf({ picture, sound, originS, durationS }: SourceFacts, moov: Uint8Array): { picture: Reach; sound: Reach | null } {
  const reach = (stream: number): Reach => reachIn(moov, stream, originS + durationS);
  return { picture: reach(picture.stream), sound: sound && reach(sound.stream) };
}
