/** One run: disks, nodes and rows; people who upload, read and delete; whatever can go wrong; and at the end the question what is left. */
import { errorType } from "../../services/kernel/errors.ts";
import type { Change } from "../../services/ring/domain/states.ts";
import { Pace } from "../../services/upkeep/domain/pace.ts";
import { collect } from "../../services/upkeep/work/collect.ts";
import { compare } from "../../services/upkeep/work/compare.ts";
import { move } from "../../services/upkeep/work/move.ts";
import { repair } from "../../services/upkeep/work/repair.ts";
import { DiskCalls } from "./calls.ts";
import { Chance, Clock, takeOver } from "./clock.ts";
import { CONTENTS } from "./contents.ts";
import { SimulatedDisk } from "./disk.ts";
import { plague, type Stage } from "./faults.ts";
import { type Life, Network } from "./network.ts";
import { SimulatedNode } from "./node.ts";
import { People } from "./people.ts";
import { PARTITIONS, Ring } from "./ring.ts";
import { Rows } from "./rows.ts";
import type { Rules } from "./rules.ts";
import { ACTIVE_MS, GRACE_MS } from "./times.ts";

const NODES = 2;
/** From one task of upkeep to the next, on each node. */
const TASK_MS = 1500;
/** Rounds of upkeep in peace, after which nothing may be left to do. */
const ROUNDS_MAX = 6;
/** Copies of what was acknowledged, while nothing was destroyed. */
const COPIES_MIN = 2;
/** How long after the owners were read another copy may be deleted: a call that is late, of a node that is stopped once, and once more. */
const LEAVES_MS = 8 * GRACE_MS;
const EVENTS_MAX = 400_000;
const NEVER = new AbortController().signal;

export interface Outcome {
  readonly seed: number;
  /** What was acknowledged, not deleted, and is on no disk any more. */
  readonly lost: readonly string[];
  /** What was acknowledged, and at some moment had fewer durable copies than promised, although nothing was destroyed. */
  readonly thin: readonly string[];
  /** What was acknowledged, and a reader was told that it does not exist. */
  readonly hidden: readonly string[];
  /** What was deleted, and is on a disk at the end. */
  readonly resurrected: readonly string[];
  /** What a disk holds at the end and does not own. */
  readonly unowned: readonly string[];
  /** What does not come to an end in peace. */
  readonly stuck: readonly string[];
  readonly acknowledged: number;
  readonly events: number;
}

export class World implements Stage {
  readonly clock = new Clock();
  readonly chance: Chance;
  readonly rules: Rules;
  readonly network: Network;
  readonly calls: DiskCalls;
  readonly rows: Rows;
  readonly ring: Ring;
  readonly disks: readonly SimulatedDisk[];
  readonly nodes: SimulatedNode[] = [];
  readonly people = new People(this);
  readonly contents = new Map<string, Buffer>();
  readonly patienceMs = 2 * GRACE_MS;
  destroyedAt: number | undefined;
  rottedAt = -1;
  readonly #trace: ((line: string) => void) | undefined;
  readonly #thin: string[] = [];
  readonly #told = new Map<string, string>();
  #failure: Error | undefined;

  constructor(seed: number, rules: Rules, trace?: (line: string) => void) {
    this.chance = new Chance(`${seed}`);
    this.rules = rules;
    this.#trace = trace;
    takeOver(this.clock, this.chance);
    const { clock, chance } = this;
    this.network = new Network(clock, chance, 2 * GRACE_MS);
    this.calls = new DiskCalls(this.network, chance, rules);
    const leaves = (chunk: string): void => {
      if (clock.now < ACTIVE_MS) this.people.comeBack(chunk);
    };
    const commits = (chunks: readonly string[], leasedAt: number): void => this.#lookAtCommit(chunks, leasedAt);
    this.rows = new Rows({ rules, graceMs: GRACE_MS, heldMs: GRACE_MS, now: () => clock.now, leaves, commits });
    const zones = chance.one([1, 2, 5]);
    const start = (work: Promise<unknown>): void => this.start(work);
    const diskOf = (_: unknown, n: number): SimulatedDisk => new SimulatedDisk(n, `zone-${n % zones}`, { clock, chance, rules, start });
    this.disks = Array.from({ length: chance.between(4, 6) }, diskOf);
    this.ring = new Ring(this.disks, this.disks.slice(0, chance.between(3, this.disks.length)), this.rows);
    for (let count = chance.between(1, 3); this.contents.size < count;) this.contents.set(...chance.one(CONTENTS));
  }

  async run(seed: number): Promise<Outcome> {
    const broken = await this.clock.run(this.#live(), EVENTS_MAX, this.#trace && (() => this.#tellOfCopies())).then(
      () => [],
      (error: unknown) => [error instanceof Error ? (error.stack ?? error.message) : String(error)],
    );
    const { hidden, acknowledged } = this.people;
    const lost = this.#lost();
    return {
      seed,
      lost,
      thin: this.#thin,
      hidden,
      ...this.#strays(),
      stuck: [...broken, ...this.#unfinished()],
      acknowledged,
      events: this.clock.taken,
    };
  }

  disk(id: string): SimulatedDisk {
    return this.disks.find((disk) => disk.id === id)!;
  }

  say(line: string): void {
    this.#trace?.(`${Math.round(this.clock.now)} ${line}`);
  }

  start(work: Promise<unknown>): void {
    work.catch((error: Error) => {
      const type = errorType(error);
      if (type === undefined || type === "INTERNAL") this.#failure ??= error;
    });
  }

  anyNode(): SimulatedNode | undefined {
    const running = this.nodes.filter((node) => node.running);
    return running.length > 0 ? this.chance.one(running) : undefined;
  }

  startNode(index: number): void {
    const node = new SimulatedNode(`node-${index}`, this);
    this.nodes[index] = node;
    this.start(node.look());
    this.start(this.#keepUp(node));
  }

  get mayDestroy(): boolean {
    const last = this.destroyedAt;
    if (last === undefined) return true;
    return (
      ![...this.people.uploads].some(({ since }) => since <= last) &&
      this.#wanted.every((chunk) => this.lastingCopies(chunk).length >= COPIES_MIN)
    );
  }

  collect(butNot: Life): void {
    const node = this.nodes.find((one) => one.running && one !== butNot);
    if (node) this.start(this.#attempt(async () => await collect(node.upkeep, NEVER)));
  }

  look(occasion: string): void {
    if (this.destroyedAt !== undefined || this.clock.now > ACTIVE_MS) return;
    for (const chunk of this.#needed) {
      if (this.#goodCopies(chunk).length < COPIES_MIN)
        this.#thin.push(`${chunk} has ${this.#goodCopies(chunk).length} copies at ${this.clock.now}, when ${occasion}`);
    }
  }

  /** Looks whether what is being acknowledged is on enough disks of the present ring, whatever was destroyed: a disk that is gone still counts there. */
  #lookAtCommit(chunks: readonly string[], leasedAt: number): void {
    if (this.rottedAt >= leasedAt) return;
    for (const chunk of chunks) {
      const bytes = this.contents.get(chunk)!;
      const holders = this.#members.filter((disk) => disk.gone || disk.durableChunk(chunk)?.equals(bytes));
      if (holders.length < COPIES_MIN)
        this.#thin.push(`${chunk} was committed at ${this.clock.now} on ${holders.length} disks of the ring`);
    }
  }

  /** Disks that nobody has given up: what others hold does not count. */
  get #members(): SimulatedDisk[] {
    return this.disks.filter((disk) => !["out", "removed"].includes(this.ring.stateOf(disk)));
  }

  /** Of what people keep. */
  get #needed(): string[] {
    return [...new Set([...this.people.kept.values()].flatMap(({ chunks }) => chunks))];
  }

  /** What lies on a disk, needed or not: it counts as a copy as soon as somebody stores it again, and nobody looks at its bytes then. */
  get #wanted(): string[] {
    return [...this.contents.keys()].filter((chunk) => this.rows.chunks.has(chunk) || this.disks.some((disk) => disk.chunks().has(chunk)));
  }

  lastingCopies(chunk: string): SimulatedDisk[] {
    const isLeaving = this.clock.now - (this.calls.readAt.get(chunk) ?? -Infinity) < LEAVES_MS;
    return this.#goodCopies(chunk).filter((disk) => !isLeaving || this.ring.owns(disk, chunk));
  }

  #goodCopies(chunk: string): SimulatedDisk[] {
    const bytes = this.contents.get(chunk)!;
    return this.#members.filter((disk) => this.#holds(disk, chunk) && disk.durableChunk(chunk)?.equals(bytes));
  }

  async #live(): Promise<void> {
    await Promise.all(this.disks.map(async (disk) => await disk.start()));
    for (let index = 0; index < NODES; index++) this.startNode(index);
    for (let deeds = this.chance.between(6, 40); deeds > 0; deeds--) {
      this.clock.after(this.chance.between(0, ACTIVE_MS), () => this.start(this.people.actOnce()));
    }
    plague(this);
    await this.clock.sleep(ACTIVE_MS);
    await this.#settleDown();
    if (this.#failure) throw this.#failure;
  }

  /** One task of upkeep after the other, as jobs would come: now and then two nodes have the same. */
  async #keepUp(node: SimulatedNode): Promise<void> {
    const { chance } = this;
    const tasks = [
      async () => await collect(node.upkeep, NEVER),
      async () => await repair(node.upkeep, chance.one(this.disks).id, NEVER),
      async () => await this.#compare(node, chance.one(this.disks)),
      async () => await this.#move(node),
      async () => await this.#scrub(node, chance.one(this.disks)),
    ];
    while (node.running && this.clock.now < ACTIVE_MS) {
      await this.clock.sleep(chance.delay(TASK_MS));
      await this.#attempt(chance.one(tasks));
    }
  }

  /** What fails because somebody is away is done again in another round. */
  async #attempt(task: () => Promise<void>): Promise<void> {
    await task().catch((error: unknown) => {
      const type = errorType(error);
      if (type === undefined || type === "INTERNAL") throw error;
      this.say(`a task failed: ${type}`);
    });
  }

  async #compare(node: SimulatedNode, { id }: SimulatedDisk): Promise<void> {
    const ports = this.rules.comparing ? node.upkeep : { ...node.upkeep, reportMissing: async () => undefined };
    const settings = { pace: new Pace(Infinity), graceSeconds: GRACE_MS / 1000, progress: () => undefined };
    await compare(ports, { disk: id, ...settings }, NEVER);
  }

  async #move(node: SimulatedNode): Promise<void> {
    const settings = { pace: new Pace(Infinity), graceSeconds: GRACE_MS / 1000, progress: () => undefined };
    await move(node.movePorts, { first: 0, last: PARTITIONS - 1, ...settings }, NEVER);
  }

  async #scrub(node: SimulatedNode, disk: SimulatedDisk): Promise<void> {
    await this.network.ask({ from: node, disk, name: "scrub", work: async () => await disk.scrub() });
  }

  /** Peace: everything runs, everybody hears everybody, and upkeep goes its rounds until nothing is left to do. */
  async #settleDown(): Promise<void> {
    Object.assign(this.network.weather, { lost: 0, late: 0, twice: 0 });
    this.network.cut.clear();
    this.network.ambushes.clear();
    this.network.databaseIsDown = false;
    for (const disk of this.disks) Object.assign(disk.trouble, { errors: 0, full: false, stepsLeft: Infinity });
    // What was sent before arrives before this ends.
    await this.clock.sleep(3 * GRACE_MS);
    this.say("peace");
    for (const former of this.nodes) former.running = false;
    this.nodes.push(new SimulatedNode("node-of-peace", this));
    const node = this.nodes.at(-1)!;
    this.start(node.look());
    this.#giveUpGone();
    for (let round = 0; round < ROUNDS_MAX && (round === 0 || this.#isUnfinished()); round++) {
      await this.clock.sleep(2 * GRACE_MS);
      await this.#keepUpOnce(node);
    }
  }

  /** Others take the place of disks that are destroyed. */
  #giveUpGone(): void {
    const changes = this.disks.flatMap((disk): Pick<Change, "disk" | "change">[] => {
      const state = this.ring.stateOf(disk);
      if (!disk.gone) return state === "in" ? [] : [{ disk: disk.id, change: "add" }];
      return state === "in" || state === "draining" ? [{ disk: disk.id, change: "remove" }] : [];
    });
    if (changes.some(({ change }) => change === "remove")) this.ring.change(changes);
  }

  async #keepUpOnce(node: SimulatedNode): Promise<void> {
    const here = this.disks.filter((disk) => !disk.gone);
    this.ring.dropForeignCopies();
    await this.#attempt(async () => await this.#move(node));
    for (const disk of here) {
      await this.#attempt(async () => await this.#scrub(node, disk));
      await this.#attempt(async () => await this.#compare(node, disk));
      await this.#attempt(async () => await repair(node.upkeep, disk.id, NEVER));
    }
    await this.#attempt(async () => await collect(node.upkeep, NEVER));
  }

  #isUnfinished(): boolean {
    const { resurrected, unowned } = this.#strays();
    return resurrected.length + unowned.length + this.#unfinished().length > 0;
  }

  #lost(): string[] {
    return [...this.people.kept].flatMap(([id, { blob, chunks }]) => {
      if (!this.rows.blobs.has(blob)) return [`${id}: its blob has no row`];
      const gone = chunks.filter((chunk) => !this.#members.some((disk) => this.#holds(disk, chunk)));
      return gone.map((chunk) => `${id}: no copy of ${chunk}`);
    });
  }

  #unfinished(): string[] {
    const named = new Set(this.rows.references.values());
    const chunks = [...this.rows.chunks.keys()];
    return [
      ...[...this.rows.missing.values()].map(({ chunk, disk }) => `${chunk} is missing on ${disk}`),
      ...(this.ring.isAtRest ? [] : ["partitions move"]),
      ...chunks.filter((chunk) => this.rows.chunks.get(chunk)!.refs === 0).map((chunk) => `nobody needs ${chunk}, and it has a row`),
      ...[...this.rows.blobs.keys()].filter((blob) => !named.has(blob)).map((blob) => `nobody needs blob ${blob}`),
      ...this.disks.flatMap((disk) => {
        const lacking = chunks.filter((chunk) => this.ring.owns(disk, chunk) && !this.#holds(disk, chunk));
        return lacking.map((chunk) => `${disk.id} lacks ${chunk}`);
      }),
    ];
  }

  #strays(): { resurrected: string[]; unowned: string[] } {
    const places = this.#members.flatMap((disk) => [...disk.chunks().keys()].map((chunk) => ({ disk, chunk })));
    const tell = ({ disk, chunk }: (typeof places)[number]): string => `${chunk} on ${disk.id}`;
    return {
      resurrected: places.filter(({ chunk }) => !this.rows.chunks.has(chunk)).map(tell),
      unowned: places.filter(({ disk, chunk }) => this.rows.chunks.has(chunk) && !this.ring.owns(disk, chunk)).map(tell),
    };
  }

  /** Who holds what, whenever that is different: (in brackets) what a power cut may take, with a question mark what is not what its name says. */
  #tellOfCopies(): void {
    for (const [chunk, bytes] of this.contents) {
      const holders = this.disks.flatMap((disk) => {
        const there = disk.chunks().get(chunk)?.bytes;
        const durable = disk.durableChunk(chunk);
        if (!there && !durable) return [];
        const name = disk.id.slice(-1);
        if (!durable?.equals(bytes) || !there) return [there?.equals(bytes) === false ? `${name}?` : `(${name})`];
        return [there.equals(bytes) ? name : `${name}?`];
      });
      const told = holders.join(" ");
      if (this.#told.get(chunk) === told) continue;
      this.#told.set(chunk, told);
      this.say(`${chunk.slice(0, 4)} is on: ${told}`);
    }
  }

  #holds(disk: SimulatedDisk, chunk: string): boolean {
    return disk.chunks().get(chunk)?.bytes.equals(this.contents.get(chunk)!) ?? false;
  }
}
