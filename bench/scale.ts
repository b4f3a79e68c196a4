/**
 * `npm run sim:scale -- --seed 1 [--hours 4] [--uploads 10000] [--transcoders 200] [--cores 8] [--slots 4] [--disks 500] [--one]`: TritonTube at a size that
 * nobody has at hand, on paper. Uploads come by chance; the shipped planner makes their jobs, the shipped groups of slots take them in the order of the queue,
 * the shipped ring moves what a lost disk had. What each takes was measured (bench/scale/measured.ts). `--one` leaves out the other sizes. docs/scale.md has a run, and what follows from it.
 */
import { parseArgs } from "node:util";
import type { JobKind } from "../services/jobs/contract.ts";
import { demandsOf, type Demands } from "./scale/demands.ts";
import { FAILURES, PLAYED_SEGMENT } from "./scale/measured.ts";
import { repairs, type Repairs } from "./scale/repair.ts";
import { cell, table } from "./scale/table.ts";
import { ISSUE, simulate, type Outcome, type Scale } from "./scale/world.ts";
import { percentile } from "./statistics.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: ISSUE.seed },
    hours: { type: "string", default: "4" },
    uploads: { type: "string", default: String(ISSUE.uploadsAnHour) },
    transcoders: { type: "string", default: String(ISSUE.transcoders) },
    cores: { type: "string", default: String(ISSUE.cores) },
    slots: { type: "string", default: String(ISSUE.slots) },
    disks: { type: "string", default: "500" },
    one: { type: "boolean", default: false },
  },
});
const disks = Number(values.disks);
const asked: Scale = {
  ...ISSUE,
  seed: values.seed,
  hours: Number(values.hours),
  warmUpHours: 0.5,
  uploadsAnHour: Number(values.uploads),
  transcoders: Number(values.transcoders),
  cores: Number(values.cores),
  slots: Number(values.slots),
};
const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** services/transcoder/domain/plan.ts. */
const SEGMENT_S = 4;
const SHARES = [0.5, 0.95, 0.99, 1];
const KINDS: readonly JobKind[] = ["video.inspect", "video.span", "video.audio", "video.picture", "video.storyboard"];
const percentiles = (all: readonly number[]): string[] => SHARES.map((share) => cell(percentile(all, share)));

function times({ waits, firstFrames, ready }: Outcome): string {
  const queued = KINDS.map((kind) => [`waits of ${kind}`, ...percentiles(waits.get(kind) ?? [])]);
  const rows = [
    ...queued,
    ["from the last byte to what playing begins with", ...percentiles(firstFrames)],
    ["from the last byte to the last segment", ...percentiles(ready)],
  ];
  return table(["Seconds", "median", "95 %", "99 %", "longest"], rows);
}

const mb = (bytes: number): string => `${cell(bytes / 1e6)} MB/s`;

function parts(demands: Demands): string {
  const { messages } = demands;
  return table(
    ["Part", "What it is asked for", "What that takes"],
    [
      ["Transcoders", `${cell(100 * demands.transcoders)} % of their processors`, `${asked.transcoders} of ${asked.cores} cores`],
      ["Questions for work", `${cell(demands.claims)} a second`, "part of the next two"],
      ["PostgreSQL", `${cell(demands.calls)} transactions a second besides`, `${cell(demands.databaseCores)} cores`],
      [
        "Nodes that decide",
        `${cell(demands.claims + demands.calls)} calls a second`,
        `${cell(demands.decidingCores)} of them, a core each`,
      ],
      ["NATS, calls", `${cell(messages.calls)} messages a second`, ""],
      ["NATS, news of work", `${cell(messages.told)} messages a second`, ""],
      ["NATS, signs of life", `${cell(messages.heartbeats)} messages a second`, ""],
      [
        "Gateways, uploads",
        mb(demands.uploaded),
        `${cell(demands.gatewayCores)} cores, ${cell((demands.uploaded * 8) / 1e9)} Gbit/s in, ${cell((demands.uploaded * 24) / 1e9)} out`,
      ],
      [
        "Gateways, each 1,000 who watch",
        `${cell(1000 / SEGMENT_S)} segments a second`,
        `${cell((1000 / SEGMENT_S) * PLAYED_SEGMENT)} cores`,
      ],
      [
        "Transcoders, network",
        `${mb(demands.read)} in, ${mb(3 * demands.rendered)} out`,
        `${cell(((demands.read + 3 * demands.rendered) * 8) / asked.transcoders / 1e6)} Mbit/s each`,
      ],
      ["Disks", `${mb(demands.writesADisk)} written and ${mb(demands.readsADisk)} read by each`, `${cell(demands.diskCores)} cores in all`],
      [
        "Room on the disks",
        `${cell(demands.storedADay / 1e12)} TB a day, three copies`,
        `${cell(demands.days)} days until ${disks} disks are full`,
      ],
    ],
  );
}

/** Other sizes, each for half an hour. */
function sizes(): string {
  const { uploadsAnHour: uploads, transcoders } = asked;
  const others: readonly [string, Partial<Scale>][] = [
    ["half the uploads", { uploadsAnHour: uploads / 2 }],
    ["as asked", {}],
    ["1.4 × the uploads", { uploadsAnHour: uploads * 1.4 }],
    ["1.8 × the uploads", { uploadsAnHour: uploads * 1.8 }],
    ["2 × uploads and transcoders", { uploadsAnHour: uploads * 2, transcoders: transcoders * 2 }],
    ["a transcoder fails once a day", { transcoderFailureS: 86_400 }],
    ["16 transcoders hear of new work", { told: 16 }],
    ["longer videos: 615 s on average", { sigma: LONG_SIGMA }],
  ];
  const rows = others.map(([name, change]) => {
    const scale = { ...asked, hours: 0.5, warmUpHours: 0.5, ...change };
    const outcome = simulate(scale);
    const demands = demandsOf(outcome, scale, disks);
    const waits = outcome.waits.get("video.span") ?? [];
    return [
      name,
      `${cell(100 * demands.transcoders)} %`,
      cell(outcome.backlog),
      cell(percentile(waits, 0.99)),
      cell(percentile(outcome.firstFrames, 0.5)),
      cell(percentile(outcome.firstFrames, 0.99)),
      cell(demands.claims),
      cell(demands.databaseCores),
      cell(outcome.lost),
    ];
  });
  const heads = [
    "Size",
    "transcoders busy",
    "jobs waiting at the end",
    "wait of a span, 99 %, s",
    "first frame, median, s",
    "99 %, s",
    "questions a second",
    "cores of PostgreSQL",
    "attempts lost",
  ];
  return table(heads, rows);
}
/** Of a log-normal length whose median is 64 s: its mean is 64 × exp(σ² / 2). */
const LONG_SIGMA = Math.sqrt(2 * Math.log(615 / 64));

function lost(): string {
  const rows = [1, 4, 16, 64].map((movers) => {
    const found: Repairs = repairs({ seed: asked.seed, disks, movers, changes: 3, years: 10_000, failuresAYear: FAILURES.diskAYear });
    return [
      cell(movers),
      cell(found.seconds / 3600),
      cell(found.targets),
      cell(found.moved),
      cell(found.failures / found.years),
      cell(found.lastCopies),
      cell(found.losses),
      found.yearsToLoss.toExponential(1),
    ];
  });
  const heads = [
    "Processes that move",
    "hours to repair a disk",
    "disks that get a part",
    "moved to the least",
    "failures a year",
    "a last copy, in 10,000 years",
    "a loss, in 10,000 years",
    "years to a loss, on paper",
  ];
  return table(heads, rows);
}

const began = performance.now();
const outcome = simulate(asked);
const demands = demandsOf(outcome, asked, disks);
say(
  `seed ${asked.seed}: ${outcome.uploads} uploads in ${asked.hours} h with ${cell(outcome.secondsOfVideo / 3600)} hours of video made ${outcome.jobs} jobs and ${outcome.segments} segments;`,
);
say(
  `transcoders that failed: ${outcome.failures}, attempts that were lost with them: ${outcome.lost}; ${outcome.ended} uploads have come to their end, ${outcome.endedTwice} twice\n`,
);
say(times(outcome));
say(`\n${parts(demands)}`);
if (!values.one) say(`\n${sizes()}`);
say(`\n${lost()}`);
say(`\nsimulated in ${cell((performance.now() - began) / 1000)} s`);
if (outcome.ended !== outcome.uploads || outcome.endedTwice > 0) process.exitCode = 1;
