/**
 * The write of one chunk, as decisions. A chunk is safe when enough disks in enough zones have it durable; until then somebody else is asked
 * for each one that fails. States of a copy: untried → sending → held | failed → sending … | refused.
 */
import { WRITE_QUORUM } from "../../kernel/limits.ts";

interface Place {
  readonly id: string;
  readonly zone: string;
}

export interface Copy<D extends Place = Place> {
  readonly disk: D;
  /** Owners should have the chunk; the others only stand in for them. */
  readonly owner: boolean;
  /** Did not answer a moment ago: asked only when nobody else is left. */
  readonly suspect: boolean;
  state: "untried" | "sending" | "held" | "failed" | "refused";
  attempts: number;
}

export interface Need {
  readonly copies: number;
  readonly zones: number;
}

/** Attempts at one disk: a restart of its process takes about a second, and with their pauses these last as long. */
export const ATTEMPTS_MAX = 4;

/** The quorum of a ring: two disks in two zones; fewer only where the whole ring has fewer. */
export function needOf(disks: readonly Place[]): Need {
  const copies = Math.min(WRITE_QUORUM, disks.length);
  return { copies, zones: Math.min(copies, zonesOf(disks)) };
}

/** Whether copies on these disks make a chunk safe. */
export function suffice(holders: readonly Place[], need: Need): boolean {
  return holders.length >= need.copies && zonesOf(holders) >= need.zones;
}

export function isSafe(copies: readonly Copy[], need: Need): boolean {
  return suffice(placesOf(copies.filter(isHeld)), need);
}

/** Whether the chunk becomes safe when all that is on its way arrives. */
export function isPossible(copies: readonly Copy[], need: Need): boolean {
  return suffice(placesOf(copies.filter(isHopedFor)), need);
}

/**
 * Whom to send the chunk to now: every owner that is not suspect, and, when that cannot be enough, as many more as can: first who has not been
 * tried, then suspects, then those who failed, for another attempt.
 */
export function nextSends<D extends Place>(copies: readonly Copy<D>[], need: Need): Copy<D>[] {
  const sends = copies.filter((copy) => copy.owner && !copy.suspect && copy.state === "untried");
  const spare = copies.filter((copy) => !sends.includes(copy) && mayBeTried(copy)).toSorted((a, b) => reluctance(a) - reluctance(b));
  const hoped = [...copies.filter(isHopedFor), ...sends];
  while (!suffice(placesOf(hoped), need)) {
    const next = spare.find((copy) => !hoped.includes(copy) && helps(copy, hoped, need));
    if (!next) break;
    sends.push(next);
    hoped.push(next);
  }
  return sends;
}

function isHeld({ state }: Copy): boolean {
  return state === "held";
}

function isHopedFor({ state }: Copy): boolean {
  return state === "held" || state === "sending";
}

function mayBeTried({ state, attempts }: Copy): boolean {
  return state === "untried" || (state === "failed" && attempts < ATTEMPTS_MAX);
}

function reluctance({ state, suspect, attempts }: Copy): number {
  return state === "untried" ? Number(suspect) : 1 + attempts;
}

function placesOf(copies: readonly Copy[]): Place[] {
  return copies.map(({ disk }) => disk);
}

/** While zones are short, only a disk in a new one brings the quorum nearer. */
function helps({ disk }: Copy, hoped: readonly Copy[], { zones }: Need): boolean {
  const covered = new Set(hoped.map((copy) => copy.disk.zone));
  return covered.size >= zones || !covered.has(disk.zone);
}

function zonesOf(disks: readonly Place[]): number {
  return new Set(disks.map(({ zone }) => zone)).size;
}
