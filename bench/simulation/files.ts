/** The operating system under a simulated disk: the port of services/disk/files on a simulated medium, with the faults that a machine has. */
import { dirname } from "node:path";
import type { Files, FileStats, OpenFile } from "../../services/disk/files/port.ts";
import type { Chance, Clock } from "./clock.ts";
import { fail, type Medium, type Inode, touched } from "./medium.ts";
import type { Rules } from "./rules.ts";

/** What is wrong with the machine at the moment. */
export interface Trouble {
  /** Share of the file operations that fail with EIO. */
  errors: number;
  /** The filesystem says that there is room, and there is none. */
  full: boolean;
  /** File operations until the process is killed, or the power goes. */
  stepsLeft: number;
}

interface Surroundings {
  readonly medium: Medium;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly rules: Rules;
  readonly trouble: Trouble;
  /** The time of the disk's own clock, milliseconds. */
  now(): number;
  /** Called when `stepsLeft` is used up. */
  crash(): void;
}

/** Now and then an operation takes so long that others come between. */
const SLOW_SHARE = 0.1;
const SLOW_MS = 100;
const CAPACITY_BYTES = 1_000_000;

/** The files of one process: when it has ended, nothing that it asked for comes back. */
export class ProcessFiles implements Files {
  readonly #at: Surroundings;
  #running = true;

  constructor(at: Surroundings) {
    this.#at = at;
  }

  end(): void {
    this.#running = false;
  }

  async open(path: string, flags: "r" | "w" | "wx"): Promise<OpenFile> {
    await this.#step(path);
    const { medium } = this.#at;
    const there = medium.find(path);
    if (there && flags === "wx") fail("EEXIST", path);
    if (!there && flags === "r") fail("ENOENT", path);
    const node = there ?? medium.makeFile(path, this.now());
    if (flags === "w") Object.assign(node, { bytes: Buffer.alloc(0), dropped: false });
    return this.#opened(path, node);
  }

  async openFolder(path: string): Promise<OpenFile> {
    return await this.open(path, "r");
  }

  async stat(path: string): Promise<FileStats> {
    await this.#step();
    return statsOf(this.#at.medium.get(path));
  }

  async statfs(): ReturnType<Files["statfs"]> {
    await this.#step();
    return { blocks: CAPACITY_BYTES, bsize: 1, bavail: CAPACITY_BYTES, files: 0, ffree: 0 };
  }

  async readFile(path: string): Promise<string> {
    await this.#step(path);
    return this.#at.medium.get(path).bytes.toString("utf8");
  }

  async readdir(path: string): Promise<string[]> {
    await this.#step();
    return [...this.#folder(path).keys()];
  }

  async mkdir(path: string): Promise<string | undefined> {
    await this.#step(path);
    return this.#makeFolders(path);
  }

  async touch(path: string): Promise<void> {
    await this.#step(path);
    touched(this.#at.medium.get(path), this.now());
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#step(from);
    this.#at.medium.rename(from, to, this.now());
  }

  async unlink(path: string): Promise<void> {
    await this.#step(path);
    this.#at.medium.remove(path);
  }

  async rm(path: string): Promise<void> {
    const node = this.#at.medium.find(path);
    if (!node) return await this.#step();
    for (const name of node.entries?.keys() ?? []) await this.rm(`${path}/${name}`);
    await this.#step();
    this.#at.medium.remove(path);
  }

  lock(): { close(): void } {
    return { close: () => undefined };
  }

  now(): number {
    return this.#at.now();
  }

  /** Before each operation: what can go wrong, and others who come between. `path` where the medium is asked, and may fail. */
  #step(path?: string): Promise<void> | undefined {
    const { trouble, chance } = this.#at;
    if (this.#running && --trouble.stepsLeft <= 0) this.#at.crash();
    if (!this.#running) return never();
    if (chance.of(SLOW_SHARE)) return this.#slowStep(path);
    // Nothing to wait for: most operations are of this kind, and a promise for each would be a tenth of a run.
    this.#mayFail(path);
    return undefined;
  }

  async #slowStep(path: string | undefined): Promise<void> {
    const { chance, clock } = this.#at;
    await clock.sleep(chance.delay(SLOW_MS));
    if (!this.#running) return await never();
    this.#mayFail(path);
  }

  #mayFail(path: string | undefined): void {
    const { trouble, chance } = this.#at;
    if (path !== undefined && trouble.errors > 0 && chance.of(trouble.errors)) fail("EIO", path);
  }

  #folder(path: string): Map<string, Inode> {
    return this.#at.medium.get(path).entries ?? fail("ENOTDIR", path);
  }

  #makeFolders(path: string): string | undefined {
    const { medium } = this.#at;
    if (medium.find(path)) return undefined;
    const above = this.#makeFolders(dirname(path));
    medium.makeFolder(path);
    return above ?? path;
  }

  #opened(path: string, node: Inode): OpenFile {
    const step = async (mayFail?: string): Promise<void> => await this.#step(mayFail);
    const { trouble, rules } = this.#at;
    return {
      async read(buffer, offset, length, position) {
        await step();
        return { bytesRead: node.bytes.copy(buffer, offset, position, position + length) };
      },
      write: async (buffer, offset, length, position) => {
        await step(path);
        if (trouble.full && length <= 1) fail("ENOSPC", path);
        // A filesystem that fills up takes a part, and says so; only the next write fails.
        const taken = trouble.full ? length >> 1 : length;
        node.bytes = written(node.bytes, buffer.subarray(offset, offset + taken), position);
        touched(node, this.now());
        return { bytesWritten: rules.shortWrites ? taken : length };
      },
      sync: async () => {
        await this.#sync(path, node);
      },
      async stat() {
        await step();
        return statsOf(node);
      },
      close: async () => await step(),
    };
  }

  async #sync(path: string, node: Inode): Promise<void> {
    const { medium, rules } = this.#at;
    try {
      await this.#step(path);
    } catch (error) {
      node.dropped = true;
      throw error;
    }
    if (node.entries ? rules.folderSync : rules.fileSync) medium.sync(node);
  }
}

function written(bytes: Buffer, more: Uint8Array, position: number): Buffer {
  const all = Buffer.alloc(Math.max(bytes.length, position + more.length));
  bytes.copy(all);
  all.set(more, position);
  return all;
}

function statsOf(node: Inode): FileStats {
  const ctimeNs = BigInt(Math.floor(node.changedMs)) * 1_000_000n + BigInt(node.changes);
  return { size: BigInt(node.bytes.length), ino: node.ino, ctimeNs };
}

/** What a process that has ended waits for. */
export async function never(): Promise<never> {
  return await new Promise<never>(() => undefined);
}
