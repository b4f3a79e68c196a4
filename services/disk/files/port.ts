/**
 * What a disk asks of the operating system. The process has Node's; the simulation has files of its own that lose what was not synced, fill up
 * and rot (test/simulation). Whatever below this folder touches a file goes through it.
 */
import { closeSync, fstatSync, fsync, open as openFile, openSync, read, stat as statPath, type StatsFs, write } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, statfs, unlink, utimes } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** An open file, or an open folder that is to be synced. As Node's FileHandle; closed by whoever opened it, when nothing is under way in it. */
export interface OpenFile {
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
  /** May write less than asked, and say so. */
  write(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesWritten: number }>;
  sync(): Promise<void>;
  stat(options: { readonly bigint: true }): Promise<FileStats>;
  close(): Promise<void>;
}

/** Whole numbers, since doubles do not hold the nanoseconds of a time. */
export interface FileStats {
  readonly size: bigint;
  readonly ino: bigint;
  /** When the file, its name or its times were changed last: nanoseconds since 1970. */
  readonly ctimeNs: bigint;
}

/** Each fails as Node's namesake does, with the same codes. */
export interface Files {
  open(path: string, flags: "r" | "w" | "wx"): Promise<OpenFile>;
  /** Opens a folder that was looked at, or changed, a moment ago. */
  openFolder(path: string): Promise<OpenFile>;
  stat(path: string, options: { readonly bigint: true }): Promise<FileStats>;
  statfs(path: string): Promise<Pick<StatsFs, "blocks" | "bsize" | "bavail" | "files" | "ffree">>;
  readFile(path: string, encoding: "utf8"): Promise<string>;
  readdir(path: string): Promise<string[]>;
  mkdir(path: string, options: { readonly recursive: true }): Promise<string | undefined>;
  /** Gives a file another `ctimeNs`, and changes nothing else of it but its other times. */
  touch(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  rm(path: string, options: { readonly recursive?: boolean; readonly force: true }): Promise<void>;
  /** Takes a folder for this process until `close`, or throws. */
  lock(folder: string): { close(): void };
  /** The time of the clock beside the medium: milliseconds since 1970. */
  now(): number;
}

export const nodeFiles: Files = {
  open,
  openFolder,
  stat,
  statfs,
  readFile,
  readdir,
  mkdir,
  touch,
  rename,
  unlink,
  rm,
  lock: lockFolder,
  now: Date.now,
};

type Done<T> = (error: Error | null, result: T) => void;

/** What a call of Node's older kind answers: those of node:fs/promises make an object and look at the stack for each call, a third of its CPU. */
async function answer<T>(begin: (done: Done<T>) => void): Promise<T> {
  return await new Promise((resolve, reject) => begin((error, result) => (error ? reject(error) : resolve(result))));
}

class NodeFile implements OpenFile {
  #descriptor: number | undefined;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  async read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }> {
    return { bytesRead: await answer<number>((done) => read(this.#open, buffer, offset, length, position, done)) };
  }

  async write(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesWritten: number }> {
    return { bytesWritten: await answer<number>((done) => write(this.#open, buffer, offset, length, position, done)) };
  }

  async sync(): Promise<void> {
    await answer<unknown>((done) => fsync(this.#open, (error) => done(error, undefined)));
  }

  /** On this thread: of an open file the kernel has them at hand. */
  async stat(options: { readonly bigint: true }): Promise<FileStats> {
    return fstatSync(this.#open, options);
  }

  /** On this thread: what was synced, or only read, leaves nothing to wait for; the last reader of a chunk that was deleted meanwhile frees its blocks. */
  async close(): Promise<void> {
    const descriptor = this.#descriptor;
    // Twice would close whatever has got the number since.
    this.#descriptor = undefined;
    if (descriptor !== undefined) closeSync(descriptor);
  }

  get #open(): number {
    if (this.#descriptor === undefined) throw new Error("The file is closed.");
    return this.#descriptor;
  }
}

async function open(path: string, flags: "r" | "w" | "wx"): Promise<OpenFile> {
  return new NodeFile(await answer<number>((done) => openFile(path, flags, done)));
}

/** On this thread: the kernel has such a folder at hand, and a thread of the pool would cost ten times what that takes. */
async function openFolder(path: string): Promise<OpenFile> {
  return new NodeFile(openSync(path, "r"));
}

async function stat(path: string, options: { readonly bigint: true }): Promise<FileStats> {
  return await answer<FileStats>((done) => statPath(path, options, done));
}

async function touch(path: string): Promise<void> {
  const before = await stat(path, { bigint: true });
  for (let after = before; after.ctimeNs === before.ctimeNs; after = await stat(path, { bigint: true })) {
    const now = new Date();
    // Where the clock of a filesystem stands still for milliseconds, once may not be enough.
    await utimes(path, now, now);
  }
}

/**
 * An exclusive lock that ends with the process, however it ends: the one that SQLite takes on its file. Node has no file lock of its own, and
 * a file with a process id in it says nothing about another container on the same volume.
 */
function lockFolder(root: string): { close(): void } {
  const lock = new DatabaseSync(join(root, "disk.lock"));
  try {
    // With its journal in memory no second file lies beside it.
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    throw new Error(`Another process serves ${root} already.`, { cause: error });
  }
}
