/** Counts what each has asked for, in the one place that all gateways share. */
import type { ServiceSchema } from "moleculer";
import { databaseMixin, type WithDatabase } from "../../mixins/database/database.mixin.ts";
import { repeat, type Repeated } from "../../mixins/repeat.ts";
import { messageOf } from "../kernel/errors.ts";
import { implement } from "../kernel/rpc.ts";
import { limits } from "./contract.ts";
import { prune, spend } from "./store/buckets.ts";

const PRUNE_MS = 60_000;

interface LimitsService extends WithDatabase {
  pruning: Repeated;
}

const service: ServiceSchema<object, object, object, LimitsService> = {
  name: "limits",
  mixins: [databaseMixin],

  actions: implement<LimitsService>()(limits, {
    async spend({ spent }) {
      return await spend(this.db, spent);
    },
  }),

  async started() {
    const tell = (error: unknown): void =>
      this.logger.warn("empty buckets could not be removed; trying again", { reason: messageOf(error) });
    this.pruning = repeat(PRUNE_MS, async () => await prune(this.db), tell);
  },

  async stopped() {
    await this.pruning?.stop();
  },
};

export default service;
