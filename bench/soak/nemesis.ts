/** What goes wrong in the soak, one thing after the other; each is made good again before the next, as an operator or a supervisor would. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../../services/ring/domain/random.ts";
import type { DiskHealth, RingView } from "../../services/ring/contract.ts";
import type { TestDisk } from "../../test/support/disks.ts";
import { freeze } from "../freeze.ts";
import type { SoakDatabase, SoakNode } from "./processes.ts";

const PAUSE_MS = { least: 1000, most: 5000 };
const AWAY_MS = { least: 300, most: 6000 };
/** As many as there have to be for three copies in three places, and one to spare for what is killed meanwhile. */
const IN_RING_MIN = 4;

interface Victims {
  readonly nodes: readonly SoakNode[];
  readonly disks: readonly TestDisk[];
  readonly database: SoakDatabase;
}

export class Nemesis {
  readonly counts: Record<string, number> = {};
  readonly #victims: Victims;
  readonly #random: Random;
  #ending = false;
  #running: Promise<void> = Promise.resolve();

  constructor(victims: Victims, random: Random) {
    this.#victims = victims;
    this.#random = random;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Everything runs again afterwards. */
  async stop(): Promise<void> {
    this.#ending = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const killDisk = async (): Promise<void> => await this.#killDisk();
    const changeRing = async (): Promise<void> => await this.#changeRing();
    const others = [async () => await this.#stopDisk(), async () => await this.#killNode(), async () => await this.#crashDatabase()];
    while (!this.#ending) {
      await this.#one([killDisk, killDisk, changeRing, changeRing, ...others])();
      await this.#pause(PAUSE_MS);
    }
  }

  async #killDisk(): Promise<void> {
    const disk = this.#one(this.#victims.disks);
    this.#count("kill -9 of a disk");
    await disk.kill();
    await this.#pause(AWAY_MS);
    await disk.restart();
  }

  async #stopDisk(): Promise<void> {
    const disk = this.#one(this.#victims.disks);
    this.#count("SIGSTOP of a disk");
    await freeze([disk.pid], async () => await this.#pause(AWAY_MS));
  }

  async #killNode(): Promise<void> {
    const node = this.#one(this.#victims.nodes);
    this.#count("kill -9 of a storage node");
    await node.kill();
    await this.#pause(AWAY_MS);
    await node.start();
  }

  async #crashDatabase(): Promise<void> {
    this.#count("kill -9 of the database");
    await this.#victims.database.crash();
  }

  /** Adds a disk that has no share, or drains one that has. */
  async #changeRing(): Promise<void> {
    const node = this.#victims.nodes.find(({ up }) => up)!;
    const ask = async <R>(action: string, params: object): Promise<R> => await node.ask<R>({ ask: "call", action, params });
    try {
      const disks = (await ask<DiskHealth[]>("ring.disks", {})).filter(({ up }) => up);
      const inside = disks.filter(({ state }) => state === "in");
      const outside = disks.find(({ state }) => state !== "in");
      if (!outside && inside.length <= IN_RING_MIN) return;
      const change = outside ? { disk: outside.id, change: "add" } : { disk: this.#one(inside).id, change: "drain" };
      await ask("ring.stage", change);
      const { epoch } = await ask<RingView>("ring.get", {});
      await ask("ring.apply", { epoch });
      this.#count(`${change.change} of a disk`);
    } catch {
      this.#count("refused changes of the ring");
    }
  }

  #one<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)]!;
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  async #pause({ least, most }: { least: number; most: number }): Promise<void> {
    await sleep(least + this.#random() * (most - least));
  }
}
