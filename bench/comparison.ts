/**
 * Two who store blobs, and perhaps a third who only reads, in rounds that take turns. The first round is not counted: it makes connections. A ratio is the median of those of the rounds, with the least and the most, of bytes a second; and beside it of bytes a second of
 * CPU, of all processes of a side with its client and its database: what else the machine does moves that less.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { open, rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { cpuSeconds } from "./processes.ts";
import { median } from "./statistics.ts";

const MiB = 1024 * 1024;

export interface Load {
  readonly name: string;
  readonly bytes: number;
  /** Blobs in one measurement, and how many at a time. */
  readonly count: number;
  readonly lanes: number;
}

export interface Side {
  /** Who works for it. */
  pids(): Promise<number[]>;
  put(size: number, key: string): Promise<string>;
  get(key: string): Promise<number>;
}

export type Sides = { readonly ours: Side; readonly rival: Side; readonly nginx?: Side };
type Who = keyof Sides;

interface Measured {
  /** Bytes a second, and a second of CPU. */
  readonly rate: number;
  readonly perCpu: number;
}

export interface Folders {
  /** For files that nobody reads. */
  readonly scratch: string;
  /** Where the sides keep theirs; nginx has the rival's. */
  readonly ours: readonly string[];
  readonly rival: readonly string[];
}

/** Seconds of work, after which further rounds become no faster. */
const WARM_UP: Load = { name: "warm-up", bytes: 100_000, count: 2000, lanes: 16 };
const COPIES = { ours: 3, rival: 1 };
const WORKS = ["put", "cold", "warm"] as const;
type Work = (typeof WORKS)[number];

export class Comparison {
  readonly #load: Load;
  readonly #sides: Sides;
  readonly #folders: Folders;
  readonly #measured = new Map<string, Measured[]>();

  constructor(load: Load, sides: Sides, folders: Folders) {
    this.#load = load;
    this.#sides = sides;
    this.#folders = folders;
  }

  /** Without measuring: servers run for months, and V8 has compiled nothing of theirs at first, of four processes on one side and of one on the other. */
  static async warmUp(sides: Sides, folders: Folders): Promise<void> {
    await new Comparison(WARM_UP, sides, folders).#round(0, ["warm"]);
  }

  /** The row of the table below HEAD. */
  async run(rounds: number): Promise<string> {
    for (let round = 0; round <= rounds; round++) await this.#round(round);
    for (const measured of this.#measured.values()) measured.shift();
    return this.#row();
  }

  async #round(round: number, reads: readonly Work[] = ["cold", "warm"]): Promise<void> {
    const { bytes, count, name } = this.#load;
    const { scratch } = this.#folders;
    const keys = { ours: [] as string[], rival: [] as string[] };
    const began = await mark(scratch);
    for (const who of inTurn(round, ["rival", "ours"] as const)) {
      await warmPages(scratch, bytes * count * COPIES[who]);
      await this.#measure("put", who, async (side, n) => void (keys[who][n] = await side.put(bytes, `${name}-${round}-${n}`)));
    }
    for (const work of reads) {
      for (const who of inTurn(round, ["rival", "nginx", "ours"] as const)) {
        const keeper = who === "ours" ? "ours" : "rival";
        if (work === "cold") await forgetPages(this.#folders[keeper], began);
        await this.#measure(work, who, async (side, n) => await this.#read(side, keys[keeper][n]!));
      }
    }
  }

  /** `count` pieces of work, `lanes` at a time. */
  async #measure(work: Work, who: Who, piece: (side: Side, index: number) => Promise<void>): Promise<void> {
    const side = this.#sides[who];
    if (!side) return;
    const { bytes, count, lanes } = this.#load;
    const pids = await side.pids();
    const before = await cpuSeconds(pids);
    let next = 0;
    const started = performance.now();
    const lane = async (): Promise<void> => {
      while (next < count) await piece(side, next++);
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    const seconds = (performance.now() - started) / 1000;
    this.#of(work, who).push({ rate: (bytes * count) / seconds, perCpu: (bytes * count) / ((await cpuSeconds(pids)) - before) });
  }

  async #read(side: Side, key: string): Promise<void> {
    const size = await side.get(key);
    if (size !== this.#load.bytes) throw new Error(`${size} of ${this.#load.bytes} bytes came`);
  }

  #of(work: Work, who: Who): Measured[] {
    const key = `${work} ${who}`;
    const known = this.#measured.get(key) ?? [];
    this.#measured.set(key, known);
    return known;
  }

  #row(): string {
    const cells = WORKS.flatMap((work) => {
      const told = [
        this.#mb(work, "ours"),
        this.#mb(work, "rival"),
        this.#ratio(work, "rival", "rate"),
        this.#ratio(work, "rival", "perCpu"),
      ];
      return work === "put" ? told : [...told, this.#mb(work, "nginx"), this.#ratio(work, "nginx", "rate")];
    });
    return padded([this.#load.name, ...cells]);
  }

  #mb(work: Work, who: Who): string {
    const rates = this.#of(work, who).map(({ rate }) => rate / 1e6);
    return rates.length === 0 ? "-" : median(rates).toFixed(0);
  }

  /** Of a copy, where copies are written. */
  #ratio(work: Work, rival: Who, what: keyof Measured): string {
    const times = work === "put" ? COPIES.ours / COPIES.rival : 1;
    const other = this.#of(work, rival);
    const ratios = this.#of(work, "ours").flatMap((each, index) => (other[index] ? [(times * each[what]) / other[index][what]] : []));
    if (ratios.length === 0) return "-";
    return `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})`;
  }
}

const GET = ["GET MB/s", "rival", "×", "by CPU ×", "nginx", "×"];
const TITLES = ["blob", "PUT MB/s", "rival", "a copy ×", "by CPU ×", ...GET.with(0, "cold GET"), ...GET.with(0, "warm GET")];
export const HEAD = padded(TITLES);

function padded(cells: readonly string[]): string {
  return cells.map((cell, index) => cell.padStart(TITLES[index]!.endsWith("×") ? 17 : 8)).join(" ");
}

/** Who comes first in one round comes last in the next. */
function inTurn<T>(round: number, all: readonly T[]): readonly T[] {
  return round % 2 === 0 ? all : all.toReversed();
}

/**
 * Has the machine's host give memory for as much page cache as is about to be written: a virtual machine gets it with the first touch of each page,
 * at ten times the cost of the write, and whoever happens to touch it would pay.
 */
async function warmPages(folder: string, bytes: number): Promise<void> {
  const path = join(folder, "pages");
  const file = await open(path, "w");
  const block = randomBytes(MiB);
  for (let at = 0; at < bytes; at += MiB) await file.write(block, 0, MiB, at);
  await file.close();
  await rm(path);
}

/** A file as old as this moment. */
async function mark(folder: string): Promise<string> {
  const path = join(folder, "round");
  await (await open(path, "w")).close();
  const now = new Date();
  await utimes(path, now, now);
  return path;
}

/** Takes what was written since `mark` out of the page cache: of what `dd` can do, that it advises the kernel so. */
async function forgetPages(folders: readonly string[], since: string): Promise<void> {
  const forget = ["-exec", "dd", "if={}", "iflag=nocache", "count=0", "status=none", ";"];
  await promisify(execFile)("find", [...folders, "-type", "f", "-newer", since, ...forget]);
}
