/** Looks at a source and plans its conversion. */
import { HEAD_BYTES, sniff } from "../domain/sniff.ts";
import { planOf, recipeOf, type PlanSettings } from "../domain/plan.ts";
import { factsOf, type SourceFacts } from "../domain/facts.ts";
import { candidateOf, type Candidate, type SourceLimits } from "../domain/probe.ts";
import type { Demuxer } from "../domain/whitelist.ts";
import { probe, readTimeline } from "../ffmpeg/probe.ts";
import { removeFolder } from "../ffmpeg/sandbox.ts";
import { serveSource, type Source } from "../ffmpeg/source.ts";
import { joined, readIndex } from "./index.ts";
import type { Hand, StoredBlob } from "./ports.ts";

/**
 * Sources without an index that is understood are read through once, up to this size: then the number of segments that is promised is right also
 * where the container's words are not (a copy that was cut off, sound that outlasts the picture). It takes some seconds; converting 2 GiB takes
 * many minutes.
 */
const READ_THROUGH_BYTES_MAX = 2 * 1024 ** 3;

/** Share of this work that is done when the kind of the source is known. */
const PROBED = 0.3;

export interface InspectionSettings extends PlanSettings {
  readonly limits: SourceLimits;
}

export async function inspect({ blob, size }: StoredBlob, hand: Hand, { limits, ...settings }: InspectionSettings): Promise<void> {
  const { ports } = hand;
  await ports.begin();
  if (await ports.reuse(recipeOf(settings))) return;
  const source = ports.open({ blob, size });
  const demuxer = sniff(await joined(await source.read(0, Math.min(size, HEAD_BYTES))));
  const facts = await examine(source, demuxer, hand, limits);
  await ports.applyPlan(facts, planOf(facts, { blob, size, demuxer }, settings));
}

async function examine(source: Source, demuxer: Demuxer, hand: Hand, limits: SourceLimits): Promise<SourceFacts> {
  const { tools, signal } = hand;
  const { size } = source;
  const folder = await tools.folder();
  const served = await serveSource(source);
  const question = { ffprobe: tools.ffprobe, folder, url: served.url, demuxer, limits, signal };
  try {
    const candidate = candidateOf(await probe(question), demuxer, limits);
    hand.progress(PROBED);
    const indexed = await readIndex(candidate, size, async (start, end) => await source.read(start, end));
    const timeline = indexed ?? (mustReadThrough(candidate, size) ? await readTimeline(question) : undefined);
    return factsOf(candidate, timeline, limits);
  } finally {
    await served.close();
    await removeFolder(folder);
    // A source that could not be read because a disk failed looks damaged, and is not.
    served.throwFailure();
  }
}

function mustReadThrough({ durationS }: Candidate, size: number): boolean {
  return durationS === undefined || size <= READ_THROUGH_BYTES_MAX;
}
