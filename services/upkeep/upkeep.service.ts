/** Makes the disks equal to the rows. Everything is a job, so any number of instances may run, and each may be killed at any moment. */
import type { ServiceSchema } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import { databaseMixin, type WithDatabase } from "../../mixins/database/database.mixin.ts";
import { repeat, type Repeated } from "../../mixins/repeat.ts";
import { worker, type WithWorker } from "../../mixins/worker.mixin.ts";
import { messageOf } from "../kernel/errors.ts";
import { implement } from "../kernel/rpc.ts";
import { portsOf } from "./cluster.ts";
import { upkeep } from "./contract.ts";
import { Pace } from "./domain/pace.ts";
import { Planner } from "./planner.ts";
import { collect } from "./work/collect.ts";
import { compare } from "./work/compare.ts";
import { move } from "./work/move.ts";
import type { Ports } from "./work/ports.ts";
import { repair } from "./work/repair.ts";

/** How long a copy that could be brought may wait to be. */
const REPAIRS_MS = 2000;
/** How soon a disk that is back is compared. */
const ROUNDS_MS = 5000;
/** Each brings two chunks at a time, which it holds in memory. */
const REPAIRS_AT_ONCE = 2;
const MOVES_AT_ONCE = 2;

interface UpkeepService extends WithDatabase, WithWorker {
  ports: Ports;
  planner: Planner;
  pace: Pace;
  graceSeconds: number;
  rounds: readonly Repeated[];
}

const service: ServiceSchema<object, object, object, UpkeepService> = {
  name: "upkeep",
  mixins: [
    worker<UpkeepService>({
      groups: () => [
        { kinds: ["disk.repair"], slots: REPAIRS_AT_ONCE },
        { kinds: ["partition.move"], slots: MOVES_AT_ONCE },
        { kinds: ["chunks.collect"], slots: 1 },
        { kinds: ["disk.compare"], slots: 1 },
      ],
      kinds: {
        "disk.repair": {
          completes: "mixin",
          async work({ payload }, { signal }) {
            await repair(this.ports, payload.disk, signal);
          },
        },
        "partition.move": {
          completes: "mixin",
          async work({ payload }, { signal, progress }) {
            const { pace, graceSeconds } = this;
            await move(this.ports, { ...payload, pace, graceSeconds, progress }, signal);
          },
        },
        "chunks.collect": {
          completes: "mixin",
          async work(_job, { signal }) {
            await collect(this.ports, signal);
          },
        },
        "disk.compare": {
          completes: "mixin",
          async work({ payload }, { signal, progress }) {
            const { pace, graceSeconds } = this;
            await compare(this.ports, { disk: payload.disk, pace, graceSeconds, progress }, signal);
          },
        },
      },
    }),
    databaseMixin,
  ],

  actions: implement<UpkeepService>()(upkeep, {
    async compare({ disk }) {
      return { disks: await this.planner.compareNow(disk) };
    },
    async collect() {
      await this.planner.collectNow();
      return null;
    },
  }),

  created() {
    const config = loadConfig();
    this.ports = portsOf(this.broker, this.logger);
    this.planner = new Planner(this, config);
    this.pace = new Pace(config.MOVE_BYTES_PER_SECOND);
    this.graceSeconds = config.COLLECT_GRACE_SECONDS;
  },

  async started() {
    const tell = (error: unknown): void => this.logger.debug("upkeep cannot be planned; trying again", { reason: messageOf(error) });
    this.rounds = [
      repeat(REPAIRS_MS, async () => await this.planner.planRepairs(), tell),
      repeat(ROUNDS_MS, async () => await this.planner.planRounds(), tell),
    ];
  },

  async stopped() {
    await Promise.all(this.rounds.map(async (round) => await round.stop()));
  },
};

export default service;
