/**
 * Transcoders that ask the queue for work: groups of slots as the shipped ones have them, the order of the queue, processors that all work of a machine shares,
 * and machines that fail. What is simulated is time; which work comes first is decided as it is in services/jobs and services/transcoder.
 */
import type { Agenda } from "./agenda.ts";
import type { Chance } from "./chance.ts";
import { WaitingWork } from "./waiting.ts";

/** Some slots that take work of these kinds, the first kind first. */
export interface SlotGroup<K extends string = string> {
  readonly kinds: readonly K[];
  readonly slots: number;
  readonly priorityMin?: number | undefined;
}

export interface Work<K extends string = string> {
  readonly kind: K;
  readonly priority: number;
  /** Of a processor, s. */
  readonly cpuS: number;
  /** Behind so much of it a part is done that somebody waits for. */
  readonly partS?: number | undefined;
  /** While it runs on a machine, other work stands still there. */
  readonly urgent: boolean;
  readonly onPart?: (() => void) | undefined;
  onDone(): void;
}

export interface Machine {
  /** Processors of each machine. */
  readonly cores: number;
  /** How many of them one piece of work can use. */
  readonly parallel: number;
}

export interface FarmOptions<K extends string> extends Machine {
  readonly machines: number;
  readonly groups: readonly SlotGroup<K>[];
  /** What is held by a machine that fails is taken away from it after so long, s. */
  readonly leaseS: number;
  /** Machines that hear of new work; the others find it when they ask by themselves. */
  readonly told: number;
}

interface Running<K extends string> {
  readonly work: Work<K>;
  readonly group: number;
  left: number;
  toPart: number;
}

interface Node<K extends string> {
  readonly running: Running<K>[];
  /** Free slots of each group. */
  readonly free: number[];
  up: boolean;
  /** What is expected of an older time is void. */
  round: number;
  reckonedAt: number;
}

export interface Counts {
  /** Questions for work, answered with some or with none. */
  claims: number;
  begun: number;
  ended: number;
  /** Begun, and taken from a machine that failed. */
  lost: number;
  /** Seconds of processors in use. */
  busyS: number;
}

const DUST_S = 1e-9;

export class Farm<K extends string> {
  readonly counts: Counts = { claims: 0, begun: 0, ended: 0, lost: 0, busyS: 0 };
  /** How long each piece of work waited, by kind, s. */
  readonly waits = new Map<K, number[]>();
  readonly #agenda: Agenda;
  readonly #chance: Chance;
  readonly #options: FarmOptions<K>;
  readonly #nodes: Node<K>[];
  readonly #waiting = new WaitingWork<K>();

  constructor(agenda: Agenda, chance: Chance, options: FarmOptions<K>) {
    this.#agenda = agenda;
    this.#chance = chance;
    this.#options = options;
    this.#nodes = Array.from({ length: options.machines }, () => ({
      running: [],
      free: options.groups.map(({ slots }) => slots),
      up: true,
      round: 0,
      reckonedAt: 0,
    }));
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** New work of one moment: everybody with a slot for it is told, and asks. */
  add(all: readonly Work<K>[]): void {
    for (const work of all) this.#waiting.add(work, this.#agenda.now);
    this.#wake(new Set(all.map(({ kind }) => kind)));
  }

  /** The round in which every machine asks by itself, whatever it was told. */
  poll(): void {
    for (const node of this.#nodes) this.#fillAll(node);
  }

  /** A machine of chance fails, and is back after so long. */
  failOne(backS: number): void {
    const node = this.#nodes[this.#chance.index(this.#nodes.length)]!;
    if (!node.up) return;
    this.#reckon(node);
    const lost = node.running.splice(0).map(({ work }) => work);
    node.up = false;
    node.round++;
    node.free.splice(0, node.free.length, ...this.#options.groups.map(({ slots }) => slots));
    this.counts.lost += lost.length;
    this.#agenda.after(this.#options.leaseS, () => this.add(lost));
    this.#agenda.after(backS, () => {
      node.up = true;
      node.reckonedAt = this.#agenda.now;
      this.#fillAll(node);
    });
  }

  #wake(kinds: ReadonlySet<K>): void {
    const groups = this.#options.groups.flatMap((group, index) => (group.kinds.some((kind) => kinds.has(kind)) ? [index] : []));
    const first = this.#chance.index(this.#nodes.length);
    for (let n = 0; n < Math.min(this.#options.told, this.#nodes.length); n++) {
      const node = this.#nodes[(first + n) % this.#nodes.length]!;
      if (node.up) for (const index of groups) this.#fill(node, index);
    }
  }

  #fillAll(node: Node<K>): void {
    if (!node.up) return;
    for (let index = 0; index < node.free.length; index++) this.#fill(node, index);
  }

  /** As mixins/worker.mixin.ts does it: asks for one kind after the other until there is work, and again while slots are free. */
  #fill(node: Node<K>, index: number): void {
    const group = this.#options.groups[index]!;
    while (node.free[index]! > 0) {
      const work = this.#claim(group);
      if (!work) return;
      node.free[index]!--;
      this.#begin(node, index, work);
    }
  }

  #claim({ kinds, priorityMin }: SlotGroup<K>): Work<K> | undefined {
    for (const kind of kinds) {
      this.counts.claims++;
      const taken = this.#waiting.take(kind, priorityMin);
      if (!taken) continue;
      const waits = this.waits.get(kind) ?? [];
      waits.push(this.#agenda.now - taken.since);
      this.waits.set(kind, waits);
      return taken.work;
    }
    return undefined;
  }

  #begin(node: Node<K>, group: number, work: Work<K>): void {
    this.#reckon(node);
    node.running.push({ work, group, left: work.cpuS, toPart: work.partS ?? Number.POSITIVE_INFINITY });
    this.counts.begun++;
    this.#expect(node);
  }

  /** What each got of the processors since it was last looked at. */
  #reckon(node: Node<K>): void {
    const passed = this.#agenda.now - node.reckonedAt;
    node.reckonedAt = this.#agenda.now;
    for (const running of node.running) {
      const got = passed * this.#rateOf(node, running);
      running.left -= got;
      running.toPart -= got;
      this.counts.busyS += got;
    }
  }

  /** Processors that it has at the moment. What can wait stands still while something urgent runs (services/transcoder/ffmpeg/precedence.ts). */
  #rateOf({ running }: Node<K>, { work }: Running<K>): number {
    const urgent = running.reduce((sum, one) => sum + (one.work.urgent ? 1 : 0), 0);
    if (urgent > 0 && !work.urgent) return 0;
    return Math.min(this.#options.parallel, this.#options.cores / (urgent > 0 ? urgent : running.length));
  }

  /** Looks at the machine again when the next of its work, or a part of it, is done. */
  #expect(node: Node<K>): void {
    const round = ++node.round;
    let next = Number.POSITIVE_INFINITY;
    for (const running of node.running) {
      const rate = this.#rateOf(node, running);
      if (rate > 0) next = Math.min(next, Math.min(running.left, Math.max(running.toPart, 0)) / rate);
    }
    if (next < Number.POSITIVE_INFINITY) this.#agenda.after(Math.max(0, next), () => node.round === round && this.#look(node));
  }

  #look(node: Node<K>): void {
    this.#reckon(node);
    for (const running of node.running.filter(({ toPart }) => toPart <= DUST_S)) {
      running.toPart = Number.POSITIVE_INFINITY;
      running.work.onPart?.();
    }
    const done = node.running.filter(({ left }) => left <= DUST_S);
    for (const running of done) {
      node.running.splice(node.running.indexOf(running), 1);
      node.free[running.group]!++;
      this.counts.ended++;
    }
    for (const { work } of done) work.onDone();
    for (const group of new Set(done.map((running) => running.group))) this.#fill(node, group);
    this.#expect(node);
  }
}
