/**
 * What a monitor should know of the storage cluster, as Moleculer metrics: asked for at intervals while this process offers metrics (METRICS_PORT), and not at
 * all otherwise. Every process tells the same of the cluster; of itself each tells what Moleculer counts (requests, errors, times).
 */
import type { Service, ServiceSchema } from "moleculer";
import { repeat, type Repeated } from "../../mixins/repeat.ts";
import { blobs } from "../blobs/contract.ts";
import { jobs } from "../jobs/contract.ts";
import { messageOf } from "../kernel/errors.ts";
import { call } from "../kernel/rpc.ts";
import { ring } from "../ring/contract.ts";
import { gauges, readingsOf, type Readings } from "./domain/gauges.ts";

/** As often as Prometheus usually looks. */
const LOOK_MS = 15_000;

interface FiguresService extends Service {
  looking: Repeated | undefined;
  look(): Promise<void>;
  tell(readings: Readings): void;
}

const service: ServiceSchema<object, object, object, FiguresService> = {
  name: "figures",

  methods: {
    async look(this: FiguresService) {
      const [{ epoch }, disks, moves, backlog, unneeded, depth] = await Promise.all([
        call(this.broker, ring.get, {}),
        call(this.broker, ring.disks, {}),
        call(this.broker, ring.moves, {}),
        call(this.broker, blobs.backlog, {}),
        call(this.broker, blobs.unneeded, {}),
        call(this.broker, jobs.depth, {}),
      ]);
      this.tell(readingsOf({ epoch, disks, moves, backlog, unneeded, depth, now: Date.now() }));
    },

    tell(this: FiguresService, readings: Readings) {
      for (const [name, values] of Object.entries(readings)) {
        // A disk or a kind of job that is gone must not keep its last value.
        (this.broker.metrics.getMetric(name) as unknown as { clear(): void }).clear();
        for (const { labels, value } of values) this.broker.metrics.set(name, value, labels);
      }
    },
  },

  async started() {
    if (!this.broker.isMetricsEnabled()) return;
    for (const [name, { labels, about }] of Object.entries(gauges)) {
      this.broker.metrics.register({ type: "gauge", name, labelNames: [...labels], description: about });
    }
    const tell = (error: unknown): void => this.logger.warn("the figures cannot be asked for; trying again", { reason: messageOf(error) });
    this.looking = repeat(LOOK_MS, async () => await this.look(), tell);
  },

  async stopped() {
    await this.looking?.stop();
  },
};

export default service;
