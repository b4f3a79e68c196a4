/** Disks that fail: what the shipped ring gives to others then, how long it takes to bring it there, and how near a partition comes to its last copy. */
import { settings } from "../../config/schema.ts";
import { EMPTY, idsOfPartition, rebalance, type PlacedDisk, type Table } from "../../services/ring/domain/placement.ts";
import { Pace } from "../../services/upkeep/domain/pace.ts";
import { percentile } from "../statistics.ts";
import { Chance } from "./chance.ts";
import { DISKS } from "./measured.ts";

const YEAR_S = 365 * 86_400;
const OUT_S = settings.DISK_OUT_SECONDS.parse(undefined);
const PACE_BYTES = settings.MOVE_BYTES_PER_SECOND.parse(undefined);

export interface Storage {
  readonly seed: string;
  readonly disks: number;
  /** Processes that bring content to its new owners, each at its own pace. */
  readonly movers: number;
  /** Failures of which each changes the ring, as it is shipped. */
  readonly changes: number;
  /** Years of failures, one beside the other. */
  readonly years: number;
  /** Of one disk, a year. */
  readonly failuresAYear: number;
}

export interface Repairs {
  /** Content of one disk, bytes. */
  readonly bytes: number;
  /** Copies that the ring moves for one failure, over those that were lost. */
  readonly moved: number;
  /** Disks that get a part of it, and the most that one gets of it. */
  readonly targets: number;
  readonly largestShare: number;
  /** From the failure until the last copy is there again, s; the time in which it is noticed is part of it. */
  readonly seconds: number;
  readonly failures: number;
  readonly years: number;
  /** Times that a partition had one copy left, and none. */
  readonly lastCopies: number;
  readonly losses: number;
  /** Years between two losses, by the failures that overlap. */
  readonly yearsToLoss: number;
}

export function repairs({ seed, disks, movers, changes, years, failuresAYear }: Storage): Repairs {
  const all = Array.from({ length: disks }, (_, n) => diskOf(n));
  const table = rebalance(EMPTY, all);
  const chance = new Chance(`repairs ${seed}`);
  const bytes = DISKS.bytes * DISKS.filled;
  const seen = Array.from({ length: changes }, () => afterLossOf(table, chance.index(disks)));
  const mean = (of: (one: Change) => number): number => seen.reduce((sum, one) => sum + of(one), 0) / seen.length;
  const slots = (3 * 2 ** table.partitionBits) / disks;
  const targets = mean((one) => one.gains.length);
  const largestShare = percentile(
    seen.map(({ gains, lost }) => Math.max(...gains) / lost),
    0.99,
  );
  const seconds = OUT_S + bringing(bytes, { movers, largest: largestShare * bytes, pieces: Math.round(slots) });
  const long = new Overlaps(table, new Chance(`overlaps ${seed}`), { repairS: seconds, failuresAYear }).run(years);
  return {
    bytes,
    moved: mean(({ moved, lost }) => moved / lost),
    targets,
    largestShare,
    seconds,
    years,
    ...long,
    yearsToLoss: yearsToLoss(table, { repairS: seconds, failuresAYear }),
  };
}

const diskOf = (n: number): PlacedDisk => ({
  id: `disk-${String(n).padStart(4, "0")}`,
  zone: `zone-${Math.floor(n / DISKS.perZone)}`,
  weight: 1,
});

interface Change {
  readonly lost: number;
  readonly moved: number;
  /** Partitions that each other disk gets. */
  readonly gains: readonly number[];
}

function afterLossOf(table: Table, victim: number): Change {
  const gone = table.disks[victim]!.id;
  const next = rebalance(
    table,
    table.disks.filter(({ id }) => id !== gone),
  );
  const gains = new Map<string, number>();
  let lost = 0;
  for (let partition = 0; partition < 2 ** table.partitionBits; partition++) {
    const before = idsOfPartition(table, partition);
    if (before.includes(gone)) lost++;
    for (const id of idsOfPartition(next, partition)) if (!before.includes(id)) gains.set(id, (gains.get(id) ?? 0) + 1);
  }
  const each = [...gains.values()];
  return { lost, moved: each.reduce((sum, one) => sum + one, 0), gains: each };
}

/** Every process at the pace that it is shipped with; and no disk takes more than it can write. */
function bringing(bytes: number, { movers, largest, pieces }: { movers: number; largest: number; pieces: number }): number {
  const paces = Array.from({ length: movers }, () => new Pace(PACE_BYTES));
  let last = 0;
  for (let piece = 0; piece < pieces; piece++) {
    const begins = paces[piece % movers]!.delayOf(bytes / pieces, 0) / 1000;
    last = Math.max(last, begins + bytes / pieces / PACE_BYTES);
  }
  return Math.max(last, largest / DISKS.bytesASecond);
}

interface Course {
  readonly repairS: number;
  readonly failuresAYear: number;
}

/** Failures over years. A partition whose owners are away at once has what is left. */
class Overlaps {
  readonly #table: Table;
  readonly #chance: Chance;
  readonly #repairS: number;
  readonly #failuresAYear: number;
  readonly #partitions: readonly (readonly number[])[];
  #failures = 0;
  #lastCopies = 0;
  #losses = 0;

  constructor(table: Table, chance: Chance, { repairS, failuresAYear }: Course) {
    this.#table = table;
    this.#chance = chance;
    this.#repairS = repairS;
    this.#failuresAYear = failuresAYear;
    const indexes = new Map(table.disks.map(({ id }, index) => [id, index]));
    const partitions: number[][] = table.disks.map(() => []);
    for (let partition = 0; partition < 2 ** table.partitionBits; partition++)
      for (const id of idsOfPartition(table, partition)) partitions[indexes.get(id)!]!.push(partition);
    this.#partitions = partitions;
  }

  run(years: number): { failures: number; lastCopies: number; losses: number } {
    const { length } = this.#table.disks;
    let away: { disk: number; until: number; since: number }[] = [];
    for (let now = 0; (now += this.#chance.exponential(YEAR_S / (length * this.#failuresAYear))) < years * YEAR_S;) {
      this.#failures++;
      away = away.filter(({ until }) => until > now);
      const disk = this.#chance.index(length);
      if (away.some((other) => other.disk === disk)) continue;
      this.#meet(
        disk,
        away.map((other) => ({ ...other, done: (now - other.since) / this.#repairS })),
      );
      away.push({ disk, since: now, until: now + this.#repairS });
    }
    return { failures: this.#failures, lastCopies: this.#lastCopies, losses: this.#losses };
  }

  #meet(disk: number, others: readonly { disk: number; done: number }[]): void {
    const missing = new Map<number, number>();
    for (const { disk: other, done } of others) {
      const all = this.#partitions[other]!;
      // In order, one after the other: those that are brought already are not missing.
      for (const partition of all.slice(Math.floor(done * all.length))) missing.set(partition, (missing.get(partition) ?? 0) + 1);
    }
    const shared = this.#partitions[disk]!.map((partition) => missing.get(partition) ?? 0);
    if (shared.some((count) => count === 1)) this.#lastCopies++;
    if (shared.some((count) => count >= 2)) this.#losses++;
  }
}

/**
 * Of a partition's three owners one fails, another one before the partition is repaired, and the third before either is. Partitions are repaired in order, so
 * each is missing for the same share u of any repair, and u is anything from 0 to 1 alike: the integral of r from 0 to u is u² / 2, on average a sixth.
 */
function yearsToLoss({ partitionBits }: Table, { repairS, failuresAYear }: Course): number {
  const window = repairS / YEAR_S;
  return 1 / (2 ** partitionBits * 6 * failuresAYear ** 3 * (window ** 2 / 6));
}
