/** What it costs that a film is cut into spans: against one ffmpeg, and with more than one transcoder. */
import { join } from "node:path";
import type { SpanTask } from "../../services/transcoder/domain/plan.ts";
import { Fleet, type Converted } from "./fleet.ts";
import { convertAlone, likeness, type Rival } from "./rival.ts";
import { jobsOf, makespan } from "./schedule.ts";

export type Say = (line: string) => void;

const FRAME_RATE = 30;
/** On this many cores: one of each is what the goal speaks of. */
const CORES = [0, 1] as const;
const SIMULATED_MINUTES = 10;
const SIMULATED = [1, 2, 4, 8, 16, 32, 64] as const;

/** (a) against (b): CPU, size and likeness. */
export async function compareCost(film: string, minutes: number, folder: string, say: Say): Promise<void> {
  const fleet = await Fleet.start();
  try {
    const ours = await fleet.convert(film, [CORES]);
    const task = ours.jobs.find(({ kind }) => kind === "video.span")!.payload as unknown as SpanTask;
    const rival = await convertAlone(film, folder, task, minutes * 60 * FRAME_RATE);
    say(`one ffmpeg: ${rival.cpuS.toFixed(1)} s of CPU in ${rival.seconds.toFixed(1)} s`);
    say(`one transcoder: ${ours.cpuS.toFixed(1)} s of CPU in ${ours.seconds.toFixed(1)} s: ${(ours.cpuS / rival.cpuS).toFixed(3)} of it`);
    await compareOutputs({ fleet, ours, rival, film, folder, heights: task.renditions }, say);
  } finally {
    await fleet.stop();
  }
}

interface Compared {
  readonly fleet: Fleet;
  readonly ours: Converted;
  readonly rival: Rival;
  readonly film: string;
  readonly folder: string;
  readonly heights: readonly { readonly name: string; readonly height: number }[];
}

async function compareOutputs({ fleet, ours, rival, film, folder, heights }: Compared, say: Say): Promise<void> {
  const all = { ours: 0, rival: 0 };
  for (const { name, height } of heights) {
    const path = join(folder, `spans-${name}.mp4`);
    const bytes = await fleet.assemble(ours.id, name, path);
    const theirs = rival.outputs.get(name)!;
    const [mine, his] = await Promise.all([likeness(path, film, height), likeness(theirs.path, film, height)]);
    all.ours += bytes;
    all.rival += theirs.bytes;
    say(
      `${name}: size ${(bytes / theirs.bytes).toFixed(4)} of it, SSIM ${mine.toFixed(5)} against ${his.toFixed(5)} (${(mine / his).toFixed(5)})`,
    );
  }
  say(`all renditions: size ${(all.ours / all.rival).toFixed(4)} of it`);
}

/** (c): one worker on one core against two on two, and four on the same two; then any number, simulated with the times that were measured. */
export async function compareSpeed(film: string, say: Say): Promise<void> {
  const one = await convertAnew(film, [[0]]);
  const two = await convertAnew(film, [[0], [1]]);
  const four = await convertAnew(film, [[0], [1], [0], [1]]);
  const faster = (than: Converted): string => `${than.seconds.toFixed(1)} s, ${(one.seconds / than.seconds).toFixed(2)} times as fast`;
  say(`one transcoder on one core: ${one.seconds.toFixed(1)} s (${one.cpuS.toFixed(1)} s of CPU)`);
  say(`two on a core each: ${faster(two)}`);
  say(`four on the same two cores: ${faster(four)}`);
  simulate(one, say);
}

/** In a storage of its own: a source that is there already is not converted again. */
async function convertAnew(film: string, cores: readonly (readonly number[])[]): Promise<Converted> {
  const fleet = await Fleet.start();
  try {
    return await fleet.convert(film, cores, { TRANSCODER_SLOTS: "1" });
  } finally {
    await fleet.stop();
  }
}

function simulate({ jobs, seconds: wholeS }: Converted, say: Say): void {
  const all = jobsOf(SIMULATED_MINUTES, jobs, wholeS);
  const alone = makespan(all, 1);
  for (const workers of SIMULATED) {
    const seconds = makespan(all, workers);
    say(
      `simulated, ${SIMULATED_MINUTES} minutes, ${workers} transcoders: ${seconds.toFixed(1)} s, ${(alone / seconds).toFixed(1)} times as fast`,
    );
  }
}
