/** What goes wrong in a run: some kinds of faults, at some moments. A run of few kinds goes deeper than one of all. */
import { errorType } from "../../services/kernel/errors.ts";
import { REPLICAS } from "../../services/kernel/limits.ts";
import type { Chance } from "./clock.ts";
import type { SimulatedDisk } from "./disk.ts";
import { ACTIVE_MS, GRACE_MS } from "./times.ts";
import type { World } from "./world.ts";

/** How long what passes by itself lasts. */
const PASSES_MS = 5000;
const NODE_RESTART_MS = 1000;
/** File operations until a crash: about what one or two uploads take. */
const STEPS_MAX = 80;

/** What a power cut leaves of what was not synced. */
const KEPT_SHARES = [0, 0.5, 1];

type Fault = (world: World) => void;

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
];

export function plague(world: World): void {
  const { chance, clock } = world;
  for (const [times, fault] of KINDS) {
    if (chance.of(0.5)) continue;
    for (let left = chance.between(1, times); left > 0; left--) clock.after(chance.between(0, ACTIVE_MS), () => fault(world));
  }
}

function killDisk(world: World): void {
  crashSoon(world.chance.one(world.disks), "process", world.chance);
}

function cutPower(world: World): void {
  crashSoon(world.chance.one(world.disks), "power", world.chance);
}

function crashSoon(disk: SimulatedDisk, takes: "process" | "power", chance: Chance): void {
  disk.crashTakes = takes;
  disk.trouble.stepsLeft = chance.between(1, STEPS_MAX);
}

function cutAllPower(world: World): void {
  world.say("the power goes");
  const share = world.chance.one(KEPT_SHARES);
  for (const disk of world.disks) disk.losePower(share);
  world.look("the power went");
}

function killNode(world: World): void {
  const index = world.chance.between(0, world.nodes.length - 1);
  world.nodes[index]!.running = false;
  world.clock.after(NODE_RESTART_MS, () => world.startNode(index));
}

function stopNode(world: World): void {
  world.chance.one(world.nodes).stoppedUntil = world.clock.now + world.chance.between(0, 3 * GRACE_MS);
}

function cutCable({ network, chance, clock, nodes, disks }: World): void {
  const pair = `${chance.one(nodes).name}>${chance.one(disks).id}`;
  network.cut.add(pair);
  clock.after(chance.delay(PASSES_MS), () => network.cut.delete(pair));
}

function stormyWeather({ network, chance, clock }: World): void {
  Object.assign(network.weather, { lost: 0.1 * chance.random(), late: 0.1 * chance.random(), twice: 0.1 * chance.random() });
  clock.after(chance.delay(10 * PASSES_MS), () => Object.assign(network.weather, { lost: 0, late: 0, twice: 0 }));
}

function breakMedium({ chance, clock, disks }: World): void {
  const { trouble } = chance.one(disks);
  trouble.errors = 0.2;
  clock.after(chance.delay(PASSES_MS), () => (trouble.errors = 0));
}

function fillUp({ chance, clock, disks }: World): void {
  for (const { trouble } of disks.filter(() => chance.of(0.7))) {
    trouble.full = true;
    clock.after(chance.delay(PASSES_MS), () => (trouble.full = false));
  }
}

function stopDatabase({ network, chance, clock }: World): void {
  network.databaseIsDown = true;
  clock.after(chance.delay(PASSES_MS), () => (network.databaseIsDown = false));
}

/** A disk comes, or goes. What the ring refuses, does not happen. */
function changeRing(world: World): void {
  const { ring, chance, disks } = world;
  const disk = chance.one(disks.filter(({ gone }) => !gone));
  const state = ring.stateOf(disk);
  if (state === "draining" && !ring.needs(disk) && disk.chunks().size === 0) applyChange(world, disk, "remove");
  else applyChange(world, disk, state === "in" ? "drain" : "add");
}

function applyChange(world: World, disk: SimulatedDisk, change: "add" | "drain" | "remove" | "out"): void {
  try {
    world.ring.change([{ disk: disk.id, change }]);
    world.say(`the ring changes: ${change} ${disk.id.slice(-1)}`);
  } catch (error) {
    if (errorType(error) !== "RING_CHANGE_REFUSED") throw error;
  }
}

/** A disk is destroyed; later its content counts as lost. */
function destroyDisk(world: World): void {
  const there = world.disks.filter((disk) => !disk.gone);
  if (there.length <= REPLICAS || !world.mayDestroy) return;
  const disk = world.chance.one(there);
  world.say(`${disk.id.slice(-1)} is destroyed`);
  world.destroyedAt = world.clock.now;
  disk.destroy();
  world.clock.after(world.chance.delay(PASSES_MS), () => {
    if (world.ring.stateOf(disk) === "in") applyChange(world, disk, "out");
  });
}

/** A bit of a chunk flips. */
function rot(world: World): void {
  const files = world.disks.flatMap((disk) => [...disk.chunks().values()]).filter(({ bytes }) => bytes.length > 0);
  if (files.length === 0 || !world.mayDestroy) return;
  world.destroyedAt = world.clock.now;
  world.disks[0]!.medium.rot(world.chance.one(files));
}
