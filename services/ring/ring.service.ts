/** Knows the disks and makes the ring. Any number of instances may run: what they decide is a row that only one of them can insert. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { ServiceSchema } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import { databaseMixin, type WithDatabase } from "../../mixins/database/database.mixin.ts";
import { DiskClients } from "../../mixins/disks/clients.ts";
import { repeat, type Repeated } from "../../mixins/repeat.ts";
import { failure, messageOf } from "../kernel/errors.ts";
import { REPLICAS } from "../kernel/limits.ts";
import { broadcast, implement } from "../kernel/rpc.ts";
import { ring, ringChanged, type RingView } from "./contract.ts";
import { HEALTH_MS, refuseTwin } from "./disks/twin.ts";
import { healthOf } from "./domain/health.ts";
import { check, EMPTY, rebalance } from "./domain/placement.ts";
import { activeRing, insertRing, knownDisk, knownDisks, saveDisk } from "./store/rings.ts";

const POLL_MS = 2000;
/** A disk that does not answer is asked again after this. */
const REGISTER_MS = 1000;
/** How long the first ring waits for disks that were named and have not answered: they would come too late for it, and stay spare. */
const FOUNDING_MS = 10_000;
/** The start waits this long for disks to answer at the addresses that they have now. */
const START_MS = 3000;

interface RingService extends WithDatabase {
  clients: DiskClients;
  current: RingView | undefined;
  /** Addresses from the configuration where no disk has answered yet. */
  silent: Set<string>;
  /** Disks that the first ring takes: as many as it keeps copies, or all when fewer are named. */
  founders: number;
  rounds: readonly Repeated[];
  refresh(): Promise<void>;
  register(address: string): Promise<string>;
  registerAll(): Promise<void>;
  /** Makes the first ring, if there is none and its disks are known. */
  found(patienceIsOver: boolean): Promise<void>;
}

const service: ServiceSchema<object, object, object, RingService> = {
  name: "ring",
  mixins: [databaseMixin],

  actions: implement<RingService>()(ring, {
    async get() {
      if (!this.current) await this.refresh();
      if (!this.current) throw failure("RING_EMPTY", "No disk has answered yet, so there is no ring.");
      return this.current;
    },
    async disks() {
      const known = await knownDisks(this.db);
      const asked = await Promise.allSettled(known.map(({ address }) => this.clients.at(address).getDisk(AbortSignal.timeout(HEALTH_MS))));
      const owners = new Set(this.current?.disks.map(({ id }) => id));
      return known.map((disk, index) => healthOf(disk, asked[index]!, owners.has(disk.id)));
    },
    async register({ address }) {
      return { id: await this.register(address) };
    },
  }),

  events: {
    async [ringChanged.name](this: RingService) {
      await this.refresh();
    },
  },

  methods: {
    async refresh(this: RingService) {
      const before = this.current?.epoch;
      this.current = (await activeRing(this.db)) ?? this.current;
      if (this.current?.epoch !== before) this.logger.info("the ring", { epoch: this.current?.epoch, disks: this.current?.disks.length });
    },

    async register(this: RingService, address: string) {
      const { id, zone, capacityBytes } = await this.clients.at(address).getDisk();
      const known = await knownDisk(this.db, id);
      const moved = known !== undefined && known.address !== address;
      if (moved) await refuseTwin(this.clients, known);
      await saveDisk(this.db, { id, address, zone, weight: capacityBytes });
      this.logger.info("a disk is known", { id, address, zone });
      if (moved) await this.refresh();
      if (moved && this.current) await broadcast(this.broker, ringChanged, { epoch: this.current.epoch });
      return id;
    },

    async registerAll(this: RingService) {
      const answers = [...this.silent].map(async (address) => {
        await this.register(address);
        this.silent.delete(address);
      });
      const unanswered = (await Promise.allSettled(answers)).filter((answer) => answer.status === "rejected");
      if (unanswered.length > 0)
        this.logger.warn("disks do not answer; asking again", { reasons: unanswered.map(({ reason }) => messageOf(reason)) });
    },

    async found(this: RingService, patienceIsOver: boolean) {
      if (this.current || (this.silent.size > 0 && !patienceIsOver)) return;
      await this.refresh();
      const disks = await knownDisks(this.db);
      if (this.current) return;
      if (disks.length < this.founders) {
        // A ring of fewer would keep fewer copies of everything, for ever, and nobody would have decided that.
        this.logger.error("there is no ring yet: too few disks have answered", {
          known: disks.length,
          needed: this.founders,
          silent: [...this.silent],
        });
        return;
      }
      const table = rebalance(EMPTY, disks);
      assert.deepEqual(check(table), []);
      // Who comes second finds the ring of the first: the same one, unless it knew other disks.
      await insertRing(this.db, 1, table);
      await this.refresh();
      await broadcast(this.broker, ringChanged, { epoch: 1 });
    },
  },

  created() {
    const { DISK_SECRET, DISKS } = loadConfig();
    if (DISK_SECRET === undefined) throw new Error("DISK_SECRET is not set, and a service of this process talks to disks.");
    this.clients = new DiskClients(DISK_SECRET);
    this.silent = new Set(DISKS);
    this.founders = Math.min(REPLICAS, this.silent.size || REPLICAS);
  },

  async started() {
    const patience = Date.now() + FOUNDING_MS;
    const tell = (error: unknown): void => this.logger.warn("the ring cannot be looked at; trying again", { reason: messageOf(error) });
    const first = Promise.withResolvers<void>();
    const founding = async (): Promise<void> => {
      await this.registerAll();
      await this.found(Date.now() > patience);
    };
    this.rounds = [
      repeat(REGISTER_MS, async () => await founding().finally(first.resolve), tell),
      repeat(POLL_MS, async () => await this.refresh(), tell),
    ];
    await Promise.race([first.promise, sleep(START_MS, undefined, { ref: false })]);
  },

  async stopped() {
    await Promise.all(this.rounds.map(async (running) => await running.stop()));
    this.clients.close();
  },
};

export default service;
