/** What goes wrong in a run: some kinds of faults, at some moments. A run of few kinds goes deeper than one of all. */
import { blobs } from "../../services/blobs/contract.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { REPLICAS } from "../../services/kernel/limits.ts";
import { ring } from "../../services/ring/contract.ts";
import type { Change } from "../../services/ring/domain/states.ts";
import type { Chance } from "./clock.ts";
import type { SimulatedDisk } from "./disk.ts";
import type { Life } from "./network.ts";
import type { SimulatedNode } from "./node.ts";
import type { People, Place } from "./people.ts";
import { ACTIVE_MS, GRACE_MS } from "./times.ts";

/** How long what passes by itself lasts. */
const PASSES_MS = 5000;
const NODE_RESTART_MS = 1000;
/** File operations until a crash: about what one or two uploads take. */
const STEPS_MAX = 80;

/** Of the disks, how many take part when the ring changes in several places at once. */
const EXCHANGED_SHARE = 0.4;
/** What a power cut leaves of what was not synced. */
const KEPT_SHARES = [0, 0.5, 1];

/** Where a caller is met: between what it has seen, or done, and what it makes of that. */
const AMBUSHED = [
  blobs.lease.name,
  "putChunk",
  blobs.commit.name,
  blobs.collect.name,
  blobs.leaving.name,
  "statChunk",
  blobs.areLeaving.name,
  "deleteChunk",
  "listChunks",
  blobs.known.name,
  ring.moving.name,
  ring.moved.name,
];
/** How long before the end of a pause, or after it, somebody uploads. */
const MEETING_MS = 500;

/** What faults befall. */
export interface Stage extends Place {
  readonly disks: readonly SimulatedDisk[];
  readonly nodes: readonly SimulatedNode[];
  readonly people: People;
  /** Whether a disk, or a copy, may be destroyed: the first; and another when the repair of the one before has ended for what is stored and for what is on its way. */
  readonly mayDestroy: boolean;
  /** Disks whose copy of the chunk is good, durable, and counted on: not one that is about to be deleted, as the owners have just read theirs. */
  lastingCopies(chunk: string): SimulatedDisk[];
  /** When a disk, or a copy, was destroyed last, or what a disk holds was given up. */
  destroyedAt: number | undefined;
  /** When a copy was. */
  rottedAt: number;
  startNode(index: number): void;
  /** Has another node collect. */
  collect(butNot: Life): void;
}

type RingChange = Pick<Change, "disk" | "change">;
type Fault = (world: Stage) => void;

/** Each kind of fault and how often a run has it, at most. */
const KINDS: readonly (readonly [times: number, fault: Fault])[] = [
  [6, killDisk],
  [6, cutPower],
  [2, cutAllPower],
  [4, killNode],
  [3, stopNode],
  [4, cutCable],
  [2, stormyWeather],
  [3, breakMedium],
  [3, fillUp],
  [2, stopDatabase],
  [4, changeRing],
  [4, changeRing],
  [2, destroyDisk],
  [3, rot],
  [1, rotAllButOne],
  [2, giveUp],
  [10, ambush],
];

export function plague(world: Stage): void {
  const { chance, clock } = world;
  for (const [times, fault] of KINDS) {
    if (chance.of(0.5)) continue;
    for (let left = chance.between(1, times); left > 0; left--) clock.after(chance.between(0, ACTIVE_MS), () => fault(world));
  }
}

function killDisk(world: Stage): void {
  crashSoon(world.chance.one(world.disks), "process", world.chance);
}

function cutPower(world: Stage): void {
  crashSoon(world.chance.one(world.disks), "power", world.chance);
}

function crashSoon(disk: SimulatedDisk, takes: "process" | "power", chance: Chance): void {
  disk.crashTakes = takes;
  disk.trouble.stepsLeft = chance.between(1, STEPS_MAX);
}

function cutAllPower(world: Stage): void {
  world.say("the power goes");
  const share = world.chance.one(KEPT_SHARES);
  for (const disk of world.disks) disk.losePower(share);
  world.look("the power went");
}

function killNode(world: Stage): void {
  end(world, world.chance.one(world.nodes));
}

function stopNode(world: Stage): void {
  world.chance.one(world.nodes).stoppedUntil = world.clock.now + world.chance.between(0, 3 * GRACE_MS);
}

function cutCable({ network, chance, clock, nodes, disks }: Stage): void {
  const pair = `${chance.one(nodes).name}>${chance.one(disks).id}`;
  network.cut.add(pair);
  clock.after(chance.delay(PASSES_MS), () => network.cut.delete(pair));
}

function stormyWeather({ network, chance, clock }: Stage): void {
  Object.assign(network.weather, { lost: 0.1 * chance.random(), late: 0.1 * chance.random(), twice: 0.1 * chance.random() });
  clock.after(chance.delay(10 * PASSES_MS), () => Object.assign(network.weather, { lost: 0, late: 0, twice: 0 }));
}

function breakMedium({ chance, clock, disks }: Stage): void {
  const { trouble } = chance.one(disks);
  trouble.errors = 0.2;
  clock.after(chance.delay(PASSES_MS), () => (trouble.errors = 0));
}

function fillUp({ chance, clock, disks }: Stage): void {
  for (const { trouble } of disks.filter(() => chance.of(0.7))) {
    trouble.full = true;
    clock.after(chance.delay(PASSES_MS), () => (trouble.full = false));
  }
}

function stopDatabase({ network, chance, clock }: Stage): void {
  network.databaseIsDown = true;
  clock.after(chance.delay(PASSES_MS), () => (network.databaseIsDown = false));
}

/** A disk comes, or goes, or several do at once. What the ring refuses, does not happen. */
function changeRing(world: Stage): void {
  const { chance, disks } = world;
  const there = disks.filter(({ gone }) => !gone);
  const some = there.filter(() => chance.of(EXCHANGED_SHARE));
  const changed = some.length > 0 && chance.of(0.5) ? some : [chance.one(there)];
  applyChanges(
    world,
    changed.map((disk) => ({ disk: disk.id, change: nextOf(world, disk) })),
  );
}

function nextOf(world: Stage, disk: SimulatedDisk): RingChange["change"] {
  const state = world.ring.stateOf(disk);
  if (state === "draining" && !world.ring.needs(disk) && disk.chunks().size === 0) return "remove";
  return state === "in" ? "drain" : "add";
}

/** Answers whether the ring took them. */
function applyChanges(world: Stage, changes: readonly RingChange[]): boolean {
  try {
    world.ring.change(changes);
  } catch (error) {
    if (errorType(error) !== "RING_CHANGE_REFUSED") throw error;
    return false;
  }
  for (const { disk, change } of changes) world.say(`the ring changes: ${change} ${disk.slice(-1)}`);
  return true;
}

/** A disk is destroyed; later its content counts as lost. */
function destroyDisk(world: Stage): void {
  const there = world.disks.filter((disk) => !disk.gone);
  if (there.length <= REPLICAS || !world.mayDestroy) return;
  const disk = world.chance.one(there);
  world.say(`${disk.id.slice(-1)} is destroyed`);
  world.destroyedAt = world.clock.now;
  disk.destroy();
  world.clock.after(world.chance.delay(PASSES_MS), () => {
    if (world.ring.stateOf(disk) === "in") applyChanges(world, [{ disk: disk.id, change: "out" }]);
  });
}

/** A disk is put out of the ring by mistake: it holds what it held, and nobody counts on it. */
function giveUp(world: Stage): void {
  const members = world.disks.filter((disk) => !disk.gone && world.ring.stateOf(disk) === "in");
  if (members.length <= REPLICAS || !world.mayDestroy) return;
  if (applyChanges(world, [{ disk: world.chance.one(members).id, change: "out" }])) world.destroyedAt = world.clock.now;
}

/** Whoever makes a certain call next is stopped, or ends, or finds another ring, when it is done and before the answer is back. */
function ambush(world: Stage): void {
  const { chance, network } = world;
  const call = chance.one(AMBUSHED);
  const spring = chance.one([pause, pause, pause, end, changeRing, giveUp]);
  network.ambushes.set(call, (caller) => {
    world.say(`${caller.name} meets ${spring.name} at ${call}`);
    spring(world, caller);
  });
}

/** For longer than the time of grace, as leases last. Others go on: another node collects meanwhile, and when this one wakes up, somebody uploads what it was at, or may be about to delete. */
function pause(world: Stage, caller: Life): void {
  const { chance, clock, people } = world;
  const ms = chance.between(GRACE_MS, 3 * GRACE_MS);
  const chunk = people.uploadsOf(caller)[0];
  caller.stoppedUntil = clock.now + ms;
  clock.after(chance.between(ms / 2, ms), () => world.collect(caller));
  clock.after(ms + chance.between(-MEETING_MS, MEETING_MS), () => world.start(people.upload(chunk)));
}

function end(world: Stage, caller: Life): void {
  if (!caller.running) return;
  const index = world.nodes.findIndex((node) => node === caller);
  caller.running = false;
  world.clock.after(NODE_RESTART_MS, () => world.startNode(index));
}

/** A bit of a chunk flips. */
function rot(world: Stage): void {
  const files = world.disks.flatMap((disk) => [...disk.chunks().values()]).filter(({ bytes }) => bytes.length > 0);
  if (files.length === 0 || !world.mayDestroy) return;
  world.destroyedAt = world.clock.now;
  world.rottedAt = world.clock.now;
  world.disks[0]!.medium.rot(world.chance.one(files));
}

/** Of a chunk every copy rots but one, as when the disks are of one bad batch: as long as that one is there, nothing is lost. */
function rotAllButOne(world: Stage): void {
  const { chance, clock, contents } = world;
  const chunk = chance.one([...contents.keys()]);
  const copies = world.lastingCopies(chunk);
  if (copies.length < 2 || !world.mayDestroy) return;
  const stays = chance.one(copies);
  world.say(`every copy of ${chunk.slice(0, 4)} rots but that on ${stays.id.slice(-1)}`);
  world.destroyedAt = clock.now;
  world.rottedAt = clock.now;
  for (const disk of copies) if (disk !== stays) disk.medium.rot(disk.chunks().get(chunk)!);
}
