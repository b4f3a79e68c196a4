/** What has to be done, as jobs. Every process plans; that a job is there already makes that harmless. */
import type { ServiceBroker } from "moleculer";
import type { Config } from "../../config/index.ts";
import { announceJobs } from "../../mixins/database/database.mixin.ts";
import type { Database } from "../../mixins/database/sql.ts";
import { blobs } from "../blobs/contract.ts";
import { failure } from "../kernel/errors.ts";
import { call } from "../kernel/rpc.ts";
import { ring, type DiskHealth } from "../ring/contract.ts";
import { Watch } from "./domain/watch.ts";
import { hasten, plan, type Task } from "./store/schedule.ts";

/** The collector comes round a few times in the time of grace, and at least this often. */
const COLLECT_S_MAX = 600;
const ROUNDS_A_GRACE = 4;

export class Planner {
  readonly #db: Database;
  readonly #broker: ServiceBroker;
  readonly #compareSeconds: number;
  readonly #collectSeconds: number;
  readonly #watch = new Watch();

  constructor({ db, broker }: { db: Database; broker: ServiceBroker }, { COMPARE_SECONDS, COLLECT_GRACE_SECONDS }: Config) {
    this.#db = db;
    this.#broker = broker;
    this.#compareSeconds = COMPARE_SECONDS;
    this.#collectSeconds = Math.min(COLLECT_S_MAX, Math.ceil(COLLECT_GRACE_SECONDS / ROUNDS_A_GRACE));
  }

  /** Nobody works for a disk that does not answer, however much it lacks. */
  async planRepairs(): Promise<void> {
    const due = await call(this.#broker, blobs.disksDue, {});
    if (due.length === 0) return;
    const there = (await this.#disks()).filter(({ id }) => due.includes(id));
    await this.#plan(there.map(({ id }) => ({ kind: "disk.repair", payload: { disk: id }, dedupeKey: id })));
  }

  /** The next round of everything that comes round; what cannot wait for its turn at once. */
  async planRounds(): Promise<void> {
    const disks = await this.#disks();
    await this.#plan([...disks.map(({ id }) => this.#comparison(id)), this.#collection()]);
    for (const { dedupeKey } of await this.#hasten(this.#watch.due.map((id) => this.#comparison(id)))) this.#watch.compared(dedupeKey);
  }

  /** DISK_NOT_FOUND, DISK_UNAVAILABLE. */
  async compareNow(disk?: string): Promise<readonly string[]> {
    const known = await call(this.#broker, ring.disks, {});
    if (disk !== undefined && !known.some(({ id }) => id === disk)) throw failure("DISK_NOT_FOUND", `There is no disk ${disk}.`);
    const ids = known.filter(({ id, up }) => up && (disk === undefined || id === disk)).map(({ id }) => id);
    if (disk !== undefined && ids.length === 0) throw failure("DISK_UNAVAILABLE", `Disk ${disk} does not answer.`);
    await this.#hasten(ids.map((id) => this.#comparison(id)));
    return ids;
  }

  async collectNow(): Promise<void> {
    await this.#hasten([this.#collection()]);
  }

  async #disks(): Promise<readonly DiskHealth[]> {
    const disks = await call(this.#broker, ring.disks, {});
    this.#watch.look(disks);
    return disks.filter(({ up }) => up);
  }

  #comparison(disk: string): Task {
    return { kind: "disk.compare", payload: { disk }, dedupeKey: disk, delaySeconds: this.#compareSeconds };
  }

  #collection(): Task {
    return { kind: "chunks.collect", payload: {}, dedupeKey: "all", delaySeconds: this.#collectSeconds };
  }

  async #plan(tasks: readonly Task[]): Promise<void> {
    await announceJobs(this.#broker, await plan(this.#db, tasks));
  }

  async #hasten(tasks: readonly Task[]): Promise<readonly Task[]> {
    const hastened = await hasten(this.#db, tasks);
    await announceJobs(this.#broker, [...new Set(hastened.map(({ kind }) => kind))]);
    return hastened;
  }
}
