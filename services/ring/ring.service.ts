/** Knows the disks and makes the ring. Any number of instances may run: what they decide is a row that only one of them can insert. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ServiceSchema } from "moleculer";
import { diskAddresses, storageAccess } from "../../config/storage.ts";
import { loadConfig } from "../../config/index.ts";
import { announceJobs, databaseMixin, type WithDatabase } from "../../mixins/database/database.mixin.ts";
import { repeat, type Repeated } from "../../mixins/repeat.ts";
import { failure, messageOf } from "../kernel/errors.ts";
import type { JobKind } from "../jobs/contract.ts";
import { broadcast, implement } from "../kernel/rpc.ts";
import { ring, ringChanged, type RingView } from "./contract.ts";
import { AskDisks } from "./disks/asking.ts";
import { Founding } from "./founding.ts";
import { healthOfDisks, registerDisk, scrubDisk } from "./known-disks.ts";
import { Monitor } from "./monitor.ts";
import { applyChanges, planChanges, stage } from "./planner.ts";
import { stagedChanges, unstageChanges } from "./store/changes.ts";
import { readmitDisk } from "./store/disks.ts";
import { movesSoFar, movingPartitions, noteMove } from "./store/moves.ts";
import { activeRing } from "./store/rings.ts";

/** The row is the truth, and this is how soon it is known without a hint. As often the disks are asked how they are. */
const POLL_MS = 2000;
/** A disk that was named and does not answer is asked again after this. */
const REGISTER_MS = 1000;
/** The start waits this long for disks to answer at the addresses that they have now. */
const START_MS = 3000;

interface RingService extends WithDatabase {
  ask: AskDisks;
  founding: Founding;
  monitor: Monitor;
  view: RingView | undefined;
  rounds: readonly Repeated[];
  refresh(): Promise<void>;
  current(): Promise<RingView>;
  /** Reads the newest ring, and tells everybody of it and of the jobs that came of it. */
  changed(made?: readonly JobKind[]): Promise<number>;
  register(address: string): Promise<{ id: string }>;
}

const service: ServiceSchema<object, object, object, RingService> = {
  name: "ring",
  mixins: [databaseMixin],

  actions: implement<RingService>()(ring, {
    async get() {
      return await this.current();
    },
    async disks() {
      return await healthOfDisks(this, this.view);
    },
    async register({ address }) {
      const { id } = await this.register(address);
      await readmitDisk(this.db, id);
      return { id };
    },
    async stage(change) {
      await stage(this, change);
      return null;
    },
    async unstage({ disk }) {
      await unstageChanges(this.db, disk);
      return null;
    },
    async scrub(command) {
      await scrubDisk(this, command);
      return null;
    },
    async staged() {
      return await stagedChanges(this.db);
    },
    async plan({ fewer }) {
      return await planChanges(this, fewer);
    },
    async apply(applied) {
      return { epoch: await this.changed(await applyChanges(this, applied)) };
    },
    async moves() {
      return await movesSoFar(this.db, (await this.current()).epoch);
    },
    async moving(range) {
      return await movingPartitions(this.db, range);
    },
    async moved(move) {
      return await noteMove(this.db, move);
    },
  }),

  events: {
    async [ringChanged.name](this: RingService) {
      await this.refresh();
    },
  },

  methods: {
    async refresh(this: RingService) {
      const before = this.view?.epoch;
      this.view = (await activeRing(this.db)) ?? this.view;
      if (this.view?.epoch !== before) this.logger.info("the ring", { epoch: this.view?.epoch, disks: this.view?.disks.length });
    },

    async current(this: RingService) {
      if (!this.view) await this.refresh();
      if (!this.view) throw failure("RING_EMPTY", "No disk has answered yet, so there is no ring.");
      return this.view;
    },

    async changed(this: RingService, made: readonly JobKind[] = []) {
      await this.refresh();
      const { epoch } = await this.current();
      await broadcast(this.broker, ringChanged, { epoch });
      await announceJobs(this.broker, made);
      return epoch;
    },

    async register(this: RingService, address: string) {
      const disk = await registerDisk(this, address);
      this.logger.info("a disk is known", { ...disk, address });
      if (disk.moved && this.view) await this.changed();
      return disk;
    },
  },

  created() {
    this.ask = new AskDisks(storageAccess(loadConfig()));
  },

  async started() {
    const warn = (error: unknown): void => this.logger.warn("the ring cannot be looked at; trying again", { reason: messageOf(error) });
    const { DISK_OUT_SECONDS } = loadConfig();
    this.founding = new Founding(diskAddresses(loadConfig()), this);
    this.monitor = new Monitor(DISK_OUT_SECONDS, this);
    const first = Promise.withResolvers<void>();
    this.rounds = [
      repeat(REGISTER_MS, async () => void (await this.founding.attempt().finally(first.resolve)), warn),
      repeat(POLL_MS, async () => await this.refresh(), warn),
      repeat(POLL_MS, async () => await this.monitor.round(), warn),
    ];
    await Promise.race([first.promise, sleep(START_MS, undefined, { ref: false })]);
  },

  async stopped() {
    await Promise.all(this.rounds.map(async (running) => await running.stop()));
    this.ask.close();
  },
};

export default service;
