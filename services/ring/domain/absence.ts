/** When the clock may put a disk out of the ring, and when it takes it back. Data moves for a disk that is gone, never for an outage of something else. */
import { REPLICAS } from "../../kernel/limits.ts";
import type { Change, DiskState } from "./states.ts";

export interface WatchedDisk {
  readonly id: string;
  readonly address: string;
  readonly zone: string;
  readonly state: DiskState;
  /** Whether the clock put it out: what an operator did stays. */
  readonly outByClock: boolean;
  /** Whether it answered just now, and for how long it has or has not, ms. */
  readonly up: boolean;
  readonly forMs: number;
}

export interface Verdict {
  readonly changes: readonly Change[];
  /** Why nothing is done about disks that have been away for long enough, a sentence each. */
  readonly refusals: readonly string[];
}

/** More than this part of the disks away at once is an outage: of a network, of a switch, of whoever looks. */
const AWAY_MAX = 1 / 3;

/** `outMs`: how long a disk must have been away; `backMs`: how long one that was put out must have answered. */
export function judge(disks: readonly WatchedDisk[], { outMs, backMs }: { readonly outMs: number; readonly backMs: number }): Verdict {
  const back = disks.filter(({ state, outByClock, up, forMs }) => state === "out" && outByClock && up && forMs >= backMs);
  const due = disks.filter(({ state, up, forMs }) => state === "in" && !up && forMs >= outMs);
  const refusals = due.length > 0 ? objections(disks, due) : [];
  const out = refusals.length > 0 ? [] : due;
  return {
    changes: [
      ...out.map(({ id }) => ({ disk: id, change: "out" as const, weight: null })),
      ...back.map(({ id }) => ({ disk: id, change: "add" as const, weight: null })),
    ],
    refusals,
  };
}

function objections(disks: readonly WatchedDisk[], due: readonly WatchedDisk[]): string[] {
  const names = due.map(({ id, address }) => `${id} at ${address}`).join(", ");
  const serving = disks.filter(({ state }) => state === "in" || state === "draining");
  const away = serving.filter(({ up }) => !up);
  const left = serving.filter(({ state, up }) => state === "in" && up);
  const found: string[] = [];
  if (left.length < REPLICAS)
    found.push(`Gone for long: ${names}. Only ${left.length} disks would be left, and each chunk has ${REPLICAS} copies: add a disk.`);
  if (away.length > serving.length * AWAY_MAX)
    found.push(`Gone for long: ${names}. ${away.length} of ${serving.length} disks are away at once: what else is broken?`);
  for (const [zone, members] of Map.groupBy(serving, (disk) => disk.zone)) {
    if (members.length > 1 && members.length < serving.length && members.every(({ up }) => !up))
      found.push(`Gone for long: ${names}. The whole zone ${zone} is away: it is expected back.`);
  }
  return found;
}
