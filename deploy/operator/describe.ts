/** What services answer, in words and tables. */
import type { Backlog, Usage } from "../../services/blobs/contract.ts";
import type { DiskHealth, Moves, RingPlan, StagedChange } from "../../services/ring/contract.ts";
import { bytes, duration, number, share, table } from "./text.ts";

/** As much of a UUID as tells a handful of disks apart. */
const ID_DIGITS = 8;

export function short(id: string): string {
  return id.slice(0, ID_DIGITS);
}

/** "2026-11-22 17:10:45". */
export function moment(iso: string): string {
  return iso.slice(0, 19).replace("T", " ");
}

export function disksText(disks: readonly DiskHealth[]): string {
  const lines = disks.map((disk) => [
    short(disk.id),
    disk.address,
    disk.zone,
    disk.state,
    conditionText(disk),
    number(disk.partitions),
    ...(disk.up ? [number(disk.chunks), bytes(disk.capacityBytes), bytes(disk.freeBytes), scrubText(disk), number(disk.faults)] : SILENT),
    disk.weight === disk.capacityBytes ? "capacity" : bytes(disk.weight),
  ]);
  const heads = [
    "disk",
    "address",
    "zone",
    "state",
    "condition",
    "partitions",
    "chunks",
    "capacity",
    "free",
    "verified",
    "faults",
    "weight",
  ];
  const reasons = disks.flatMap(({ id, reason, readOnly }) =>
    [reason, readOnly].filter((why) => why !== null).map((why) => `${short(id)}: ${why}`),
  );
  return [table(heads, lines), ...reasons].join("\n");
}

const SILENT = ["–", "–", "–", "–", "–"];

function conditionText({ up, downSince, readOnly }: DiskHealth): string {
  if (!up) return `down since ${downSince === null ? "now" : moment(downSince)}`;
  return readOnly === null ? "up" : "up, takes no more";
}

function scrubText({ verifiedSince, scrub, scrubbed }: DiskHealth): string {
  const since = verifiedSince === null ? "never wholly" : `since ${moment(verifiedSince)}`;
  return scrub === "resting" ? since : `${since}, ${scrub} at ${share(scrubbed, 1)}`;
}

export function movesText(moves: Moves): string {
  const lost = moves.lostChunks === 0 ? [] : [`! ${number(moves.lostChunks)} chunks are lost: no disk that is known has a good copy`];
  return [progressText(moves), ...lost].join("\n");
}

function progressText({ partitions, chunks, bytes: moved, copiedBytes, bytesPerSecond, secondsLeft }: Moves): string {
  if (partitions.done === partitions.total) return "nothing moves";
  const left = secondsLeft === null ? "" : `, about ${duration(secondsLeft)} left`;
  return [
    `moving: ${number(partitions.done)} of ${number(partitions.total)} partitions, ${number(chunks.done)} of ${number(chunks.total)} chunks,`,
    `${bytes(moved.done)} of ${bytes(moved.total)} (${bytes(copiedBytes)} copied), ${bytes(bytesPerSecond)}/s${left}`,
  ].join(" ");
}

export function stagedText(staged: readonly StagedChange[]): string {
  if (staged.length === 0) return "nothing is staged";
  return `staged: ${staged.map(changeText).join("; ")}`;
}

function changeText({ disk, change, weight }: StagedChange): string {
  const weighed = change === "weight" || weight !== null;
  return `${change} ${short(disk)}${weighed ? ` (${weight === null ? "by its capacity" : bytes(weight)})` : ""}`;
}

export function planText(plan: RingPlan): string {
  const changed = plan.disks.filter(({ before, after }) => before.partitions > 0 || after.partitions > 0 || before.state !== after.state);
  const lines = changed.map(({ id, address, zone, capacityBytes, before, after }) => [
    short(id),
    address,
    zone,
    before.state === after.state ? after.state : `${before.state} → ${after.state}`,
    `${number(before.partitions)} → ${number(after.partitions)}`,
    `${bytes(before.bytes)} → ${bytes(after.bytes)}`,
    share(after.bytes, capacityBytes),
  ]);
  return [
    stagedText(plan.changes),
    `would move ${number(plan.chunks)} chunks, ${bytes(plan.bytes)}: ${number(plan.copies)} copies of ${number(plan.partitions)} partitions (least possible: ${number(plan.minimum)})`,
    table(["disk", "address", "zone", "state", "partitions", "content", "of capacity"], lines),
    ...plan.warnings.map((warning) => `! ${warning}`),
  ].join("\n");
}

export function usageText(usage: Usage): string {
  const meanings: Record<keyof Usage, string> = {
    logical: "blobs, as long as they are",
    unique: "chunks that they are made of, each once",
    physical: "copies that the ring wants of them",
    deduplicated: "did not have to be stored: it was there",
    pending: "on its way in, or waiting for the end of its time of grace",
    leaving: "being deleted",
    missing: "copies that owners have not yet",
  };
  const names = Object.keys(meanings) as (keyof Usage)[];
  const lines = names.map((name) => [name, number(usage[name].count), bytes(usage[name].bytes), meanings[name]]);
  return table(["", "count", "size", "what it is"], lines);
}

export function repairsText(backlog: readonly Backlog[]): string {
  if (backlog.length === 0) return "every copy is where it belongs";
  const lines = backlog.map(({ disk, copies, bytes: size, oldest }) => [short(disk), number(copies), bytes(size), moment(oldest)]);
  return table(["disk", "copies", "size", "oldest"], lines);
}
