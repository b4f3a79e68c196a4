/** The chunks of one disk, as files. What this answers has happened on the medium, not only in memory. */
import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { errorType, failure } from "../../kernel/errors.ts";
import { folderOf } from "../domain/chunk.ts";
import { assertBits, assertLimit, foldersOf } from "../domain/partition.ts";
import type { PutHeader } from "../domain/put.ts";
import { versionOf } from "../domain/version.ts";
import { Admission } from "./admission.ts";
import { Bin } from "./bin.ts";
import { Census } from "./census.ts";
import { Epoch } from "./epoch.ts";
import { Faults } from "./faults.ts";
import { type DiskFolder, openFolder } from "./folder.ts";
import { FolderSet } from "./folder-set.ts";
import { Incoming } from "./incoming.ts";
import { statIfThere, syncFolder } from "./io.ts";
import { digestsIn, namesIn } from "./listing.ts";
import { type Files, type FileStats, nodeFiles } from "./port.ts";
import { StoredChunk } from "./stored.ts";
import { Sums } from "./sums.ts";
import { Turns } from "./turns.ts";

/** A bad chunk can be looked at for a week. */
const QUARANTINE_KEEP_MS = 7 * 24 * 3600 * 1000;
/** Chunks that are listed at once: 45 KB a message, and no more than that many calls of stat wait in line. */
const LIST_BATCH = 500;

export interface StoreSettings {
  readonly reserveBytes: number;
  /** How long a deleted chunk can be brought back. */
  readonly trashKeepMs: number;
}

export interface ChunkFile {
  /** Bytes. */
  readonly size: number;
  /** Names this file of the chunk: a later one of the same chunk has another. */
  readonly version: string;
}

interface ListedChunk extends ChunkFile {
  readonly hash: string;
  readonly ageSeconds: number;
}

interface Page {
  readonly bits: number;
  readonly partition: number;
  readonly after: string;
  readonly limit: number;
}

export class ChunkStore {
  readonly folder: DiskFolder;
  readonly #files: Files;
  readonly #epoch: Epoch;
  readonly #census: Census;
  readonly #faults: Faults;
  readonly sums: Sums;
  readonly #admission: Admission;
  readonly #trash: Bin;
  readonly #quarantine: Bin;
  readonly #turns = new Turns();
  readonly #start = randomBytes(4).toString("hex");
  /** Folders whose every entry is known to be durable: this process has synced them, and syncs them after each change. */
  readonly #durable: FolderSet;
  #drafts = 0;

  private constructor(parts: Parts) {
    this.folder = parts.folder;
    this.#files = parts.folder.files;
    this.#epoch = parts.epoch;
    this.#census = parts.census;
    this.#faults = parts.faults;
    this.sums = parts.sums;
    this.#durable = new FolderSet(parts.folder.chunks);
    this.#admission = parts.admission;
    this.#trash = parts.trash;
    this.#quarantine = parts.quarantine;
  }

  static async open(path: string, settings: StoreSettings, files: Files = nodeFiles): Promise<ChunkStore> {
    const folder = await openFolder(files, path);
    const trash = await Bin.open(files, folder.trash, settings.trashKeepMs);
    return new ChunkStore({
      folder,
      epoch: await Epoch.read(folder),
      census: await Census.of(files, folder.chunks),
      faults: await Faults.read(folder),
      sums: new Sums(files, folder.sums),
      admission: new Admission(folder, trash, settings.reserveBytes),
      trash,
      quarantine: await Bin.open(files, folder.quarantine, QUARANTINE_KEEP_MS),
    });
  }

  get id(): string {
    return this.folder.id;
  }

  /** Lets a chunk in. Undefined when it is here already and durable. DISK_STALE_EPOCH, DISK_FULL, DISK_READ_ONLY. */
  async begin(header: PutHeader): Promise<Incoming | undefined> {
    await this.#epoch.admit(header.epoch);
    if (await this.#holdsGood(header)) return undefined;
    await this.#admission.promise(header.size);
    try {
      const path = join(this.folder.tmp, `${header.hash}.${(this.#drafts += 1)}`);
      return await Incoming.open(this.#files, header, path);
    } catch (error) {
      this.#admission.release(header.size);
      throw error;
    }
  }

  /** Makes an incoming chunk durable under its name. Answers true when another writer was faster. CHUNK_CORRUPT, LENGTH_MISMATCH, DISK_STALE_EPOCH. */
  async publish(incoming: Incoming): Promise<boolean> {
    const { header } = incoming;
    await incoming.finish();
    return await this.#turns.take(header.hash, async () => {
      // A ring that changed during the upload may have given the chunk to other disks.
      await this.#epoch.admit(header.epoch);
      const there = await this.#maybeThere(header.hash);
      if (there && (await this.#stands(header, there))) return true;
      // These bytes are verified: a file of another length under this name is not, and is replaced.
      await this.#name(incoming);
      if (there) this.#census.removed(header.hash, Number(there.size));
      this.#census.added(header.hash, header.size);
      // Nobody has to wait for them: they can be made again.
      void this.sums.keep(header, incoming.sums);
      return false;
    });
  }

  /** Ends what `begin` started, on whatever way it ended. */
  async end(incoming: Incoming): Promise<void> {
    this.#admission.release(incoming.header.size);
    await incoming.discard();
  }

  /** To be told of what made an upload fail: a medium that takes no writes is not asked for more of them until `tryAgain`. */
  failed(error: unknown): void {
    this.#admission.failed(error);
  }

  /** Answers whether the medium takes writes; one that did not is asked. */
  async tryAgain(): Promise<boolean> {
    return await this.#admission.tryAgain();
  }

  /** Opens a chunk for reading; the caller closes it. CHUNK_NOT_FOUND. */
  async read(hash: string): Promise<StoredChunk> {
    return await StoredChunk.open(this.#files, hash, this.#pathOf(hash));
  }

  /** Has seen the epoch that an answer goes with, if one does: nothing of an older one happens afterwards. DISK_STALE_EPOCH. */
  async see(epoch: number | undefined): Promise<void> {
    if (epoch !== undefined) await this.#epoch.admit(epoch);
  }

  /** Undefined when the chunk is not here. What is here stays through a power cut: other copies are deleted on that word. When touched it has another version. */
  async stat(hash: string, { touch = false }: { readonly touch?: boolean | undefined } = {}): Promise<ChunkFile | undefined> {
    const there = await this.#look(hash, touch);
    return there && this.#told(there);
  }

  /** Moves one file of a chunk to the trash. Answers whether a chunk was here. DISK_STALE_EPOCH, CHUNK_CHANGED. */
  async remove(hash: string, { epoch, version }: { readonly epoch: number; readonly version: string }): Promise<boolean> {
    return await this.#turns.take(hash, async () => {
      await this.#epoch.admit(epoch);
      const there = await statIfThere(this.#files, this.#pathOf(hash));
      if (!there) return false;
      const { size, version: present } = this.#told(there);
      if (present !== version) throw failure("CHUNK_CHANGED", `Chunk ${hash} was stored again since it was looked at.`);
      await this.#bin(hash, size, this.#trash);
      return true;
    });
  }

  /** Takes a bad chunk out of service, unless a good one has taken its place meanwhile. Answers whether it did. */
  async quarantine(chunk: StoredChunk): Promise<boolean> {
    return await this.#turns.take(chunk.hash, async () => {
      const there = await statIfThere(this.#files, this.#pathOf(chunk.hash));
      if (there?.ino !== chunk.inode) return false;
      await this.#bin(chunk.hash, Number(there.size), this.#quarantine);
      await this.#faults.add();
      return true;
    });
  }

  /** Reads a chunk again and takes it out of service if it is bad. Waits for `pause` after each piece. Answers its length. CHUNK_NOT_FOUND. */
  async verify(hash: string, pause?: (bytes: number) => Promise<void>): Promise<number> {
    const chunk = await this.read(hash);
    try {
      await this.sums.refresh(chunk, pause);
    } catch (error) {
      if (errorType(error) !== "CHUNK_CORRUPT") throw error;
      await this.quarantine(chunk);
    } finally {
      await chunk.close();
    }
    return chunk.size;
  }

  /** The names of the chunks below an outer folder, 0 to 255, behind `after`, in order. */
  namesIn(outer: number, after: string): AsyncGenerator<string> {
    return namesIn(this.#files, this.folder.chunks, foldersOf({ bits: 8, partition: outer }), after);
  }

  /** Chunks of a partition behind `after`, in the order of their names, in batches. They stay through a power cut, as with `stat`. INVALID_REQUEST. */
  async *list({ bits, partition, after, limit }: Page): AsyncGenerator<ListedChunk[]> {
    assertLimit(limit);
    let left = limit;
    let batch: string[] = [];
    for await (const name of namesIn(this.#files, this.folder.chunks, foldersOf({ bits, partition }), after)) {
      left -= 1;
      if (batch.push(name) === LIST_BATCH) yield await this.#describe(batch.splice(0));
      if (left === 0) break;
    }
    yield await this.#describe(batch);
  }

  /**
   * Digests (services/kernel/digests.ts) of what lies on the medium, in pieces. A power cut may still take some of it: nobody deletes a copy on the word
   * of a digest, but only on that of `list` and `stat`. INVALID_REQUEST.
   */
  digests(bits: number): AsyncGenerator<Buffer> {
    assertBits(bits);
    return digestsIn(this.#files, this.folder.chunks, bits);
  }

  async usage() {
    return {
      ...(await this.#admission.now()),
      chunks: this.#census.chunks,
      usedBytes: this.#census.bytes,
      epoch: this.#epoch.highest,
      trash: this.#trash.content,
      quarantine: this.#quarantine.content,
      faults: this.#faults.ever,
      faultsSinceStart: this.#faults.sinceStart,
    };
  }

  /** Unlinks what was deleted long ago. Answers how many files. */
  async emptyBins(signal: AbortSignal): Promise<number> {
    return (await this.#trash.sweep(signal)) + (await this.#quarantine.sweep(signal));
  }

  /** Finds out what the chunks take that were here at the start. */
  async countBytes(signal: AbortSignal): Promise<void> {
    await this.#census.countBytes(signal, (hash, work) => this.#turns.take(hash, work));
  }

  close(): void {
    this.folder.unlock();
  }

  #pathOf(hash: string): string {
    return join(this.folder.chunks, folderOf(hash), hash);
  }

  #told(stats: FileStats): ChunkFile {
    return { size: Number(stats.size), version: versionOf(stats, this.#start) };
  }

  async #describe(names: readonly string[]): Promise<ListedChunk[]> {
    for (const folder of new Set(names.map((hash) => dirname(this.#pathOf(hash))))) await this.#settle(folder);
    const described = names.map(async (hash) => {
      const there = await this.#look(hash);
      if (!there) return [];
      const ageMs = this.#files.now() - Number(there.ctimeNs / 1_000_000n);
      return [{ hash, ...this.#told(there), ageSeconds: Math.max(0, Math.floor(ageMs / 1000)) }];
    });
    return (await Promise.all(described)).flat();
  }

  /** What is here of a chunk for certain: not before whoever is just storing it has synced the folder, or undone it. */
  async #look(hash: string, touch = false): Promise<FileStats | undefined> {
    return await this.#turns.take(hash, async () => {
      const path = this.#pathOf(hash);
      const there = await statIfThere(this.#files, path);
      // A former process may have died between rename and sync.
      if (there) await this.#settle(dirname(path));
      if (!there || !touch) return there;
      await this.#files.touch(path);
      return await statIfThere(this.#files, path);
    });
  }

  /**
   * What is here of a chunk that is offered. A new one costs no look at the medium: were it there all the same, since somebody else put it there, it
   * would be replaced by bytes that are verified.
   */
  async #maybeThere(hash: string): Promise<FileStats | undefined> {
    return this.#census.mayHold(hash) ? await statIfThere(this.#files, this.#pathOf(hash)) : undefined;
  }

  /** Whether a chunk is here and good: what rotted since it was stored must not stand for the good bytes that are offered now. */
  async #holdsGood(header: PutHeader): Promise<boolean> {
    // Most chunks are new: whoever is just storing this one is met when it gets its name.
    if (!(await this.#maybeThere(header.hash))) return false;
    await this.verify(header.hash, atOnce).catch(unlessNotFound);
    return await this.#turns.take(header.hash, async () => {
      const there = await this.#maybeThere(header.hash);
      return there !== undefined && (await this.#stands(header, there));
    });
  }

  /** Whether the file of a chunk is as declared, and stays through a power cut. It is another one afterwards for those who want to delete it. */
  async #stands(header: PutHeader, there: FileStats): Promise<boolean> {
    if (Number(there.size) !== header.size) return false;
    const path = this.#pathOf(header.hash);
    // A former process may have died between rename and sync.
    await this.#settle(dirname(path));
    await this.#files.touch(path);
    return true;
  }

  async #name(incoming: Incoming): Promise<void> {
    const path = this.#pathOf(incoming.header.hash);
    const folder = dirname(path);
    if (!this.#durable.has(folder)) await this.#files.mkdir(folder, { recursive: true });
    await incoming.name(path);
    try {
      await this.#sync(folder);
    } catch (error) {
      // What is not durable must not be found; nor told, where it cannot be taken back either.
      await this.#files.rm(path, { force: true });
      throw error;
    }
  }

  /** Makes everything that is in a folder below chunks/ durable, unless it is so. */
  async #settle(folder: string): Promise<void> {
    if (!this.#durable.has(folder)) await this.#sync(folder);
  }

  /** Makes the entries of a folder durable, and its own where that is not known; all at once, so that the medium takes them together. */
  async #sync(folder: string): Promise<void> {
    const folders = [folder];
    for (let below = folder; below !== this.folder.chunks && !this.#durable.has(below); below = dirname(below))
      folders.push(dirname(below));
    try {
      await Promise.all(folders.map(async (each) => await syncFolder(this.#files, each)));
      for (const each of folders) this.#durable.add(each);
    } catch (error) {
      for (const each of folders) this.#durable.delete(each);
      throw error;
    }
  }

  async #bin(hash: string, bytes: number, bin: Bin): Promise<void> {
    // Told before the file goes: a folder that is counted when it has gone, and before that is told, would have its bytes taken off twice.
    this.#census.removed(hash, bytes);
    try {
      await bin.take(this.#pathOf(hash), { hash, bytes });
    } catch (error) {
      if (await statIfThere(this.#files, this.#pathOf(hash))) this.#census.added(hash, bytes);
      throw error;
    }
    void this.sums.forget(hash);
  }
}

const atOnce = async (): Promise<void> => {};

function unlessNotFound(error: unknown): void {
  if (errorType(error) !== "CHUNK_NOT_FOUND") throw error;
}

interface Parts {
  readonly folder: DiskFolder;
  readonly epoch: Epoch;
  readonly census: Census;
  readonly faults: Faults;
  readonly sums: Sums;
  readonly admission: Admission;
  readonly trash: Bin;
  readonly quarantine: Bin;
}
