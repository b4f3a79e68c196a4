/** The first ring: made when the disks that the configuration names have answered, or enough of them after a while. */
import type { Service } from "moleculer";
import type { Database } from "../../mixins/database/sql.ts";
import { messageOf } from "../kernel/errors.ts";
import { REPLICAS } from "../kernel/limits.ts";
import { EMPTY } from "./domain/placement.ts";
import { allDisks } from "./store/disks.ts";
import { insertFirstRing, latestRing } from "./store/rings.ts";
import { nextTable } from "./threads/table.ts";

/** How long the first ring waits for disks that were named and have not answered: they would come too late for it, and stay spare. */
const PATIENCE_MS = 10_000;

interface Ports {
  readonly db: Database;
  readonly logger: Service["logger"];
  /** Makes a disk known by its address. */
  register(address: string): Promise<unknown>;
  /** There is a ring now. */
  changed(): Promise<unknown>;
}

export class Founding {
  readonly #ports: Ports;
  /** Addresses from the configuration where no disk has answered yet. */
  readonly #silent: Set<string>;
  /** Disks that the first ring takes: as many as it keeps copies, or all when fewer are named. */
  readonly #founders: number;
  readonly #until = Date.now() + PATIENCE_MS;
  #founded = false;

  constructor(addresses: readonly string[], ports: Ports) {
    this.#ports = ports;
    this.#silent = new Set(addresses);
    this.#founders = Math.min(REPLICAS, this.#silent.size || REPLICAS);
  }

  /** One attempt; whether there is a ring afterwards. For a caller that comes again. */
  async attempt({ patience = Date.now() <= this.#until } = {}): Promise<boolean> {
    await this.#registerAll();
    this.#founded ||= (await latestRing(this.#ports.db)) !== undefined;
    if (this.#founded || (this.#silent.size > 0 && patience)) return this.#founded;
    const disks = (await allDisks(this.#ports.db)).filter(({ state }) => state !== "removed");
    if (disks.length < this.#founders) {
      // A ring of fewer would keep fewer copies of everything, for ever, and nobody would have decided that.
      this.#ports.logger.error("there is no ring yet: too few disks have answered", {
        known: disks.length,
        needed: this.#founders,
        silent: [...this.#silent],
      });
      return false;
    }
    // Who comes second finds the ring of the first: the same one, unless it knew other disks.
    await insertFirstRing(this.#ports.db, await nextTable(EMPTY, disks));
    await this.#ports.changed();
    this.#founded = true;
    return true;
  }

  async #registerAll(): Promise<void> {
    const answers = [...this.#silent].map(async (address) => {
      await this.#ports.register(address);
      this.#silent.delete(address);
    });
    const unanswered = (await Promise.allSettled(answers)).filter((answer) => answer.status === "rejected");
    if (unanswered.length > 0)
      this.#ports.logger.warn("disks do not answer; asking again", { reasons: unanswered.map(({ reason }) => messageOf(reason)) });
  }
}
