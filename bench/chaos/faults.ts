/** Everything that is broken in a chaos run, and how it is mended. */
import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import type { Supervised } from "../../deploy/local/supervise.ts";
import type { Random } from "../../services/ring/domain/random.ts";
import type { Processes } from "../../test/support/processes.ts";
import { childrenOf } from "../../test/support/tritontube.ts";
import { freeze, signal } from "../freeze.ts";

/** How long something stays broken: shorter and longer than every limit that notices it (2 to 12 s). */
const AWAY_MS = { least: 300, most: 15_000 };

export interface Fault {
  readonly name: string;
  /** Breaks it, lets it be broken, and mends it. Answers whether there was anything to break: a victim may just be coming back from a fault before. */
  happen(pause: (ms: { least: number; most: number }) => Promise<void>, random: Random): Promise<boolean>;
}

/** Whether packets can be dropped here: as root, with nftables. */
const nft = (rules: string): boolean => spawnSync("nft", ["-f", "-"], { input: rules }).status === 0;

const TABLE = "table inet tritontube_chaos";

/** Also for who ends in the middle of a cut. */
export function mendNetwork(): void {
  nft(`delete ${TABLE}`);
}

export function faultsOf({ nodes, disks, nats, database }: Processes): readonly Fault[] {
  const kinds: [string, readonly Supervised[]][] = [
    ["a gateway", nodes.gateway],
    ["a transcoder", nodes.transcoder],
    ["a node that decides", nodes.videos],
    ["the node of the ring", nodes.ring],
    ["a disk", disks],
    ["NATS", [nats]],
  ];
  const ofProcesses = kinds.flatMap(([name, victims]) => [
    killed(`kill -9 of ${name}, started again at once`, victims),
    powerless(`${name} is killed, and stays away`, victims),
    frozen(`${name} freezes (SIGSTOP)`, victims),
  ]);
  const cuts = nft(`${TABLE} { }\ndelete ${TABLE}`)
    ? [cut("the network of a disk is cut", disks), cut("the network of NATS is cut", [nats])]
    : [];
  return [...ofProcesses, ...cuts, killedDatabase(database), frozenDatabase(database)];
}

function one<T>(list: readonly T[], random: Random): T {
  return list[Math.floor(random() * list.length)]!;
}

function killed(name: string, victims: readonly Supervised[]): Fault {
  return {
    name,
    async happen(_pause, random) {
      const { pid } = one(victims, random);
      return pid !== 0 && signal([-pid], "SIGKILL") > 0;
    },
  };
}

function powerless(name: string, victims: readonly Supervised[]): Fault {
  return {
    name,
    async happen(pause, random) {
      const victim = one(victims, random);
      await victim.halt();
      await pause(AWAY_MS);
      await victim.resume();
      return true;
    },
  };
}

function frozen(name: string, victims: readonly Supervised[]): Fault {
  return {
    name,
    async happen(pause, random) {
      const { pid } = one(victims, random);
      return pid !== 0 && (await freeze([-pid], async () => await pause(AWAY_MS)));
    },
  };
}

/** Neither end is told: packets vanish. */
function cut(name: string, victims: readonly Supervised[]): Fault {
  return {
    name,
    async happen(pause, random) {
      const port = one(victims, random).address.split(":").at(-1);
      const isCut = nft(`${TABLE} { chain cut { type filter hook input priority 0; tcp dport ${port} drop; tcp sport ${port} drop; }; }`);
      if (!isCut) throw new Error("the network could be cut before, and cannot now");
      await pause(AWAY_MS);
      mendNetwork();
      return true;
    },
  };
}

function killedDatabase(database: Processes["database"]): Fault {
  return { name: "kill -9 of PostgreSQL", happen: async () => signal([database.pid], "SIGKILL") > 0 };
}

function frozenDatabase(database: Processes["database"]): Fault {
  return {
    name: "PostgreSQL freezes (SIGSTOP)",
    async happen(pause) {
      const all = [database.pid, ...(await childrenOf(database.pid)).map(({ pid }) => pid)];
      return await freeze(all, async () => await pause(AWAY_MS));
    },
  };
}

/** What happened how often, and how long the slowest took until every gateway was well again. */
export type Survived = Map<string, { times: number; slowestMs: number }>;

const PAUSE_MS = { least: 500, most: 4000 };

/** One fault after the other, until it is stopped; `well` resolves when people are served again. */
export class Nemesis {
  readonly survived: Survived = new Map();
  readonly #faults: readonly Fault[];
  readonly #random: Random;
  readonly #well: () => Promise<void>;
  #ending = false;
  #running: Promise<void> = Promise.resolve();

  constructor(faults: readonly Fault[], random: Random, well: () => Promise<void>) {
    this.#faults = faults;
    this.#random = random;
    this.#well = well;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#ending = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const pause = async ({ least, most }: { least: number; most: number }): Promise<void> =>
      await sleep(least + this.#random() * (most - least));
    while (!this.#ending) {
      const fault = one(this.#faults, this.#random);
      if (await fault.happen(pause, this.#random)) await this.#survive(fault);
      await pause(PAUSE_MS);
    }
  }
  /** Every third fault comes while the one before is still felt. */
  async #survive({ name }: Fault): Promise<void> {
    const mended = performance.now();
    if (this.#random() < 2 / 3) await this.#well();
    const { times, slowestMs } = this.survived.get(name) ?? { times: 0, slowestMs: 0 };
    this.survived.set(name, { times: times + 1, slowestMs: Math.max(slowestMs, performance.now() - mended) });
  }
}
