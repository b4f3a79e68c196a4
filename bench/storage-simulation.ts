/**
 * `npm run sim:storage -- [--runs 100000] [--seed N] [--rule-off NAME|all|none] [--replay SEED]`: the storage protocol in simulated machines.
 *
 * The shipped rules run `--runs` times. Then each rule (or the one that is named) is switched off, for at most a tenth of the runs, until it is
 * shown that the simulation finds what goes wrong without it. `--replay` tells one run in words. Exits with 1 when the shipped rules lost anything.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { COVERED, SHIPPED, VARIANTS } from "./simulation/rules.ts";
import { type Batch, FINDINGS, simulate, type Tally } from "./simulation/runs.ts";
import { World } from "./simulation/world.ts";

/** Runs of a variant for each run of what is shipped, at most. */
const VARIANT_SHARE = 0.1;
/** Findings in a variant after which more would show nothing. */
const ENOUGH = 10;

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "100000" },
    seed: { type: "string", default: String(randomInt(1e9)) },
    "rule-off": { type: "string", default: "all" },
    replay: { type: "string" },
  },
});

async function main(): Promise<void> {
  const off = values["rule-off"];
  if (off !== "all" && off !== "none" && !VARIANTS[off])
    throw new Error(`--rule-off takes all, none, or one of ${Object.keys(VARIANTS).join(", ")}.`);
  if (values.replay !== undefined) return await replay(wholeNumber("replay", values.replay), off);

  const runs = wholeNumber("runs", values.runs);
  const seed = wholeNumber("seed", values.seed);
  process.stdout.write(`seed ${seed}\n\n${row(["rules", "runs", "acknowledged", ...FINDINGS, "runs/s"])}`);
  const shipped = await measured({ variant: "shipped", seed, runs });
  const variants = off === "all" ? Object.keys(VARIANTS) : off === "none" ? [] : [off];
  for (const variant of variants) await measured({ variant, seed, runs: Math.ceil(runs * VARIANT_SHARE), until: isEnough });
  if (FINDINGS.some((finding) => shipped.found[finding] > 0)) process.exitCode = 1;
}

function isEnough({ found }: Tally): boolean {
  return FINDINGS.some((finding) => found[finding] >= ENOUGH);
}

async function measured(batch: Batch): Promise<Tally> {
  const { variant } = batch;
  const began = performance.now();
  const tally = await simulate(batch);
  const perSecond = Math.round((1000 * tally.runs) / (performance.now() - began));
  process.stdout.write(
    row([variant, tally.runs, tally.acknowledged, ...FINDINGS.map((finding) => tally.found[finding]), perSecond].map(String)),
  );
  const [first] = FINDINGS.flatMap((finding) => tally.first[finding] ?? []);
  const option = variant === "shipped" ? "none" : variant;
  if (COVERED[variant]) process.stdout.write(`  ${COVERED[variant]}\n`);
  if (first) process.stdout.write(`  the first: npm run sim:storage -- --replay ${first.seed} --rule-off ${option}\n`);
  return tally;
}

async function replay(seed: number, off: string): Promise<void> {
  const world = new World(seed, { ...SHIPPED, ...VARIANTS[off] }, (line) => process.stdout.write(`${line}\n`));
  process.stdout.write(`${JSON.stringify(await world.run(seed), null, 2)}\n`);
}

function row([name = "", ...figures]: readonly string[]): string {
  return `${name.padEnd(22)}${figures.map((figure) => figure.padStart(13)).join("")}\n`;
}

function wholeNumber(name: string, text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`--${name} takes a whole number above 0, not "${text}".`);
  return number;
}

await main();
