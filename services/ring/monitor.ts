/** Watches the disks, and does for the ring what nobody has to be asked for: puts out who is gone, takes back who returned, keeps moves going. */
import type { Service } from "moleculer";
import { transaction, type Database } from "../../mixins/database/sql.ts";
import type { JobKind } from "../jobs/contract.ts";
import { errorType, messageOf } from "../kernel/errors.ts";
import type { AskDisks } from "./disks/asking.ts";
import { judge, type WatchedDisk } from "./domain/absence.ts";
import { reasonOf } from "./domain/health.ts";
import type { Change } from "./domain/states.ts";
import { applyByClock } from "./planner.ts";
import { enqueueMoves } from "./store/changes.ts";
import { allDisks, noteSilence, type DiskRow } from "./store/disks.ts";
import { dropForeignCopies, stalledMoves } from "./store/moves.ts";
import { latestRing } from "./store/rings.ts";

/** A disk that was put out must have answered for this long before data moves for it again; less where the time to be put out is shorter. */
const BACK_MS = 30_000;

interface Ports {
  readonly db: Database;
  readonly ask: AskDisks;
  readonly logger: Service["logger"];
  /** Keeps the address at which a disk answers. */
  register(address: string): Promise<unknown>;
  /** The ring has changed, and jobs of these kinds wait. */
  changed(made: readonly JobKind[]): Promise<unknown>;
}

export class Monitor {
  readonly #ports: Ports;
  readonly #outMs: number;
  /** Since when each disk answers, or does not, as this process has seen it without a break. */
  readonly #seen = new Map<string, { readonly up: boolean; readonly since: number }>();
  /** Every address at which a disk was known since this process began to look. */
  readonly #places = new Set<string>();
  #told = "";

  constructor(outSeconds: number, ports: Ports) {
    this.#ports = ports;
    this.#outMs = outSeconds * 1000;
  }

  /** One look at everything. For a caller that comes again. */
  async round(): Promise<void> {
    const { db, ask } = this.#ports;
    const disks = (await allDisks(db)).filter(({ state }) => state !== "removed");
    for (const { address } of disks) this.#places.add(address);
    const asked = await ask.all(disks);
    await this.#find(disks.filter((disk, index) => reasonOf(disk, asked[index]!) !== null));
    const now = Date.now();
    const watched = disks.map((disk, index) => this.#watch(disk, reasonOf(disk, asked[index]!) === null, now));
    const idsOf = (wrong: (disk: DiskRow, up: boolean) => boolean): string[] =>
      disks.filter((disk, index) => wrong(disk, watched[index]!.up)).map(({ id }) => id);
    await noteSilence(db, {
      silent: idsOf((disk, up) => !up && !disk.downSince),
      heard: idsOf((disk, up) => up && disk.downSince !== null),
    });
    const { changes, refusals } = judge(watched, { outMs: this.#outMs, backMs: Math.min(BACK_MS, this.#outMs) });
    this.#tell(refusals);
    if (changes.length > 0) await this.#change(changes);
    await this.#keepMoving();
  }

  /** Disks that have changed places are where others were: also where the other has not come up yet, so that no row names the place any more. */
  async #find(lost: readonly DiskRow[]): Promise<void> {
    if (lost.length === 0) return;
    const { ask, logger } = this.#ports;
    const places = [...this.#places];
    const asked = await ask.all(places.map((address) => ({ id: "", address })));
    for (const [index, answer] of asked.entries()) {
      const found = answer.status === "fulfilled" && lost.some(({ id, address }) => id === answer.value.id && address !== places[index]);
      if (found)
        await this.#ports
          .register(places[index]!)
          .catch((error: unknown) => logger.warn("a disk is at two places", { reason: messageOf(error) }));
    }
  }

  /** Who has just begun to look believes no one else that a disk has been away for long: it may be this process that cannot see. */
  #watch(disk: DiskRow, up: boolean, now: number): WatchedDisk {
    const before = this.#seen.get(disk.id);
    const seen = before?.up === up ? before : { up, since: now };
    this.#seen.set(disk.id, seen);
    const downMs = disk.downSince ? now - disk.downSince.getTime() : 0;
    const forMs = up ? now - seen.since : Math.min(now - seen.since, downMs);
    return { ...disk, outByClock: disk.outBy === "clock", up, forMs };
  }

  #tell(refusals: readonly string[]): void {
    const told = refusals.join(" ");
    if (told !== this.#told && told !== "") this.#ports.logger.error("disks are gone, and the ring stays as it is", { reasons: refusals });
    this.#told = told;
  }

  async #change(changes: readonly Change[]): Promise<void> {
    const { db, logger } = this.#ports;
    try {
      const { plan, made } = await applyByClock(db, changes);
      logger.warn("the ring was changed by the clock", { changes, partitions: plan.moves.length, chunks: plan.chunks, bytes: plan.bytes });
      await this.#ports.changed(made);
    } catch (error) {
      // Another instance has done it, or an operator something else: the next round looks again.
      if (errorType(error) === "RING_CHANGED") return;
      this.#tell([messageOf(error)]);
    }
  }

  /** Whatever became of the jobs: while something is not where it belongs, there is one for it. */
  async #keepMoving(): Promise<void> {
    const { db } = this.#ports;
    const ring = await latestRing(db);
    if (!ring) return;
    const stalled = await stalledMoves(db);
    if (stalled.length > 0) await this.#ports.changed(await transaction(db, async (tx) => await enqueueMoves(tx, ring.epoch, stalled)));
    // In every round: a reader that had not heard of this ring may have missed a copy on a disk of the one before.
    await dropForeignCopies(db);
  }
}
