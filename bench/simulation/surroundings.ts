/** What is around a node in a run. */
import type { DiskCalls } from "./calls.ts";
import type { Chance, Clock } from "./clock.ts";
import type { SimulatedDisk } from "./disk.ts";
import type { Network } from "./network.ts";
import type { Ring } from "./ring.ts";
import type { Rows } from "./rows.ts";
import type { Rules } from "./rules.ts";

export interface Surroundings {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly rules: Rules;
  readonly network: Network;
  readonly calls: DiskCalls;
  readonly rows: Rows;
  readonly ring: Ring;
  disk(id: string): SimulatedDisk;
  /** Tells it to whoever has the run told in words. */
  say(line: string): void;
}
