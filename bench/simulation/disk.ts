/** A simulated disk: the shipped server's handlers and store, as a process that can end at any file operation, on a medium that can lose power. */
import type { Logger } from "pino";
import { asFailure } from "../../services/disk/grpc/status.ts";
import { DiskHandlers } from "../../services/disk/handlers.ts";
import { faultOf } from "../../services/disk/domain/faults.ts";
import { Scrubber } from "../../services/disk/files/scrub.ts";
import { ChunkStore } from "../../services/disk/files/store.ts";
import { errorType } from "../../services/kernel/errors.ts";
import type { Chance, Clock } from "./clock.ts";
import { FOLDERS } from "./contents.ts";
import { never, ProcessFiles, type Trouble } from "./files.ts";
import { Medium, type Inode } from "./medium.ts";
import type { Rules } from "./rules.ts";

const FOLDER = "/disk";
const TRASH_KEEP_MS = 24 * 3600 * 1000;
const WRITES_MS = 5000;
const SCRUB_BYTES_PER_SECOND = 1_000_000;
/** From the end of a process to the next: a supervisor starts it again. */
const RESTART_MS = 1000;
const LOGGER = { warn() {}, info() {}, error() {}, debug() {} } as unknown as Logger;

interface Process {
  readonly files: ProcessFiles;
  /** Undefined until the store is open. */
  store?: ChunkStore;
  handlers?: DiskHandlers;
}

interface Surroundings {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly rules: Rules;
  /** Runs something that nobody waits for. */
  start(work: Promise<unknown>): void;
}

export class SimulatedDisk {
  readonly id: string;
  readonly zone: string;
  readonly address: string;
  readonly weight = 1;
  readonly medium: Medium;
  readonly trouble: Trouble = { errors: 0, full: false, stepsLeft: Infinity };
  /** What the next crash takes: the process only, or the power with it. */
  crashTakes: "process" | "power" = "process";
  /** It is destroyed, and never comes again. */
  gone = false;
  readonly #at: Surroundings;
  readonly #clockIsAheadMs: number;
  #process: Process | undefined;

  constructor(number: number, zone: string, at: Surroundings) {
    this.id = `00000000-0000-4000-8000-00000000000${number}`;
    this.address = `disk-${number}:1`;
    this.zone = zone;
    this.#at = at;
    this.#clockIsAheadMs = at.chance.between(0, 200_000);
    this.medium = new Medium(at.chance);
    this.#format();
  }

  get isUp(): boolean {
    return this.#process?.handlers !== undefined;
  }

  async start(): Promise<void> {
    if (this.#process || this.gone) return;
    const { medium, trouble } = this;
    const now = (): number => this.#at.clock.now + this.#clockIsAheadMs;
    const crash = (): void => (this.crashTakes === "power" ? this.losePower(this.#at.chance.random()) : this.kill());
    const process: Process = { files: new ProcessFiles({ ...this.#at, medium, trouble, now, crash }) };
    this.#process = process;
    try {
      const store = await ChunkStore.open(FOLDER, { reserveBytes: 0, trashKeepMs: TRASH_KEEP_MS }, process.files);
      const scrubber = await Scrubber.open(store, SCRUB_BYTES_PER_SECOND);
      process.store = store;
      process.handlers = new DiskHandlers({ store, scrubber }, this.zone, LOGGER);
      this.#at.start(this.#tryWrites(store, process));
    } catch (error) {
      if (faultOf(error) === undefined) throw error;
      this.kill();
    }
  }

  /** Ends the process. Another one starts soon. */
  kill(): void {
    this.trouble.stepsLeft = Infinity;
    if (!this.#process) return;
    this.#process.files.end();
    this.#process = undefined;
    this.#at.clock.after(RESTART_MS, () => this.#at.start(this.start()));
  }

  /** `share` of what was not synced stays nevertheless. */
  losePower(share: number): void {
    this.kill();
    this.medium.powerLoss(share);
  }

  /** The medium is destroyed. */
  destroy(): void {
    this.gone = true;
    this.kill();
    this.medium.wipe();
  }

  /** What a call answers, unless the process ends before. DISK_UNAVAILABLE when none runs; fails as the server does. */
  async serve<T>(work: (handlers: DiskHandlers) => Promise<T>): Promise<T> {
    const process = this.#process;
    if (!process?.handlers) throw asFailure(Object.assign(new Error("no process listens"), { code: "EIO" }));
    const left = (): boolean => this.#process !== process;
    try {
      const answer = await work(process.handlers);
      return left() ? await never() : answer;
    } catch (error) {
      if (left()) return await never();
      throw asFailure(error);
    }
  }

  /** Reads everything again, as its scrubber does, which puts what has rotted into quarantine. */
  async scrub(): Promise<void> {
    const store = this.#process?.store;
    await this.serve(async () => {
      for (const folder of FOLDERS) {
        for await (const name of store!.namesIn(folder, "")) await store!.verify(name, async () => undefined).catch(unlessDeleted);
      }
    });
  }

  /** The files of chunks as they lie on the medium: name → file. */
  chunks(): Map<string, Inode> {
    const found = new Map<string, Inode>();
    for (const outer of this.medium.find(`${FOLDER}/chunks`)?.entries?.values() ?? []) {
      for (const inner of outer.entries?.values() ?? []) for (const [name, file] of inner.entries ?? []) found.set(name, file);
    }
    return found;
  }

  /** The bytes of a chunk that a power cut leaves for certain. */
  durableChunk(name: string): Buffer | undefined {
    const path = `${FOLDER}/chunks/${name.slice(0, 2)}/${name.slice(2, 4)}/${name}`;
    let at: Inode | undefined = this.medium.root;
    for (const part of path.slice(1).split("/")) at = at?.durable?.get(part);
    return at?.durableBytes;
  }

  /** Asks a medium that took no writes whether it does again, as the server does. */
  async #tryWrites(store: ChunkStore, process: Process): Promise<void> {
    while (this.#process === process) {
      await this.#at.clock.sleep(WRITES_MS);
      await store.tryAgain();
    }
  }

  #format(): void {
    this.medium.makeFolder(FOLDER);
    const identity = this.medium.makeFile(`${FOLDER}/disk.json`, 0);
    identity.bytes = Buffer.from(JSON.stringify({ id: this.id, createdAt: "" }));
    const folder = this.medium.get(FOLDER);
    for (const node of [identity, folder, this.medium.root]) this.medium.sync(node);
  }
}

function unlessDeleted(error: unknown): void {
  if (errorType(error) !== "CHUNK_NOT_FOUND") throw error;
}
