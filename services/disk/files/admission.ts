/** Whether chunks are let in: the room on the filesystem, what is promised of it, and whether the medium takes writes at all. */
import { join } from "node:path";
import { failure } from "../../kernel/errors.ts";
import { CHUNK_BYTES_MAX } from "../../kernel/limits.ts";
import { faultOf } from "../domain/faults.ts";
import { lacking, type Room, roomLeft, whyReadOnly } from "../domain/room.ts";
import type { Bin } from "./bin.ts";
import type { DiskFolder } from "./folder.ts";
import { replaceFile } from "./io.ts";
import type { Files } from "./port.ts";

type Filesystem = Awaited<ReturnType<Files["statfs"]>>;

/** A look at the filesystem is good for so long, where it shows room for 64 of the largest chunks: each costs a call, and small chunks come by the hundred. */
const LOOK_MS = 100;
const AMPLE_BYTES = 64 * CHUNK_BYTES_MAX;

/** What the filesystem said, and what is promised of it: then, and since. */
interface Look {
  readonly filesystem: Filesystem;
  readonly atMs: number;
  promisedBytes: number;
}

interface RoomNow {
  readonly capacityBytes: number;
  /** What it would still take. */
  readonly freeBytes: number;
  /** Why it takes no more chunks; empty when it does. */
  readonly readOnly: string;
}

export class Admission {
  readonly #folder: DiskFolder;
  readonly #trash: Bin;
  readonly #reserveBytes: number;
  #promisedBytes = 0;
  #looked: Look | undefined;
  /** Why the medium takes no writes. */
  #broken = "";
  #shrinking: Promise<void> | undefined;

  constructor(folder: DiskFolder, trash: Bin, reserveBytes: number) {
    this.#folder = folder;
    this.#trash = trash;
    this.#reserveBytes = reserveBytes;
  }

  async now(): Promise<RoomNow> {
    const { filesystem, promisedBytes } = await this.#look();
    const room = this.#roomOf(filesystem, promisedBytes);
    return { capacityBytes: filesystem.blocks * filesystem.bsize, freeBytes: roomLeft(room), readOnly: this.#broken || whyReadOnly(room) };
  }

  /** Keeps room for a chunk until `release`; old files of the trash make way for it. DISK_FULL, DISK_READ_ONLY. */
  async promise(size: number): Promise<void> {
    if (this.#broken) throw failure("DISK_READ_ONLY", this.#broken);
    for (let before = Infinity; !this.#isAmple();) {
      const { filesystem } = await this.#look();
      // Nothing is awaited between this and the promise: two writers cannot both be given the last room.
      const room = this.#roomOf(filesystem, this.#promisedBytes);
      const left = roomLeft(room);
      if (left < size) throw failure("DISK_FULL", `A chunk of ${size} bytes does not fit: ${left} are left above the reserve.`);
      const short = lacking(room, size);
      if (short.files + short.bytes === 0) break;
      // Files that are still being read give nothing back before they are closed.
      if (room.trash.files >= before)
        throw failure("DISK_FULL", `A chunk of ${size} bytes does not fit, and the trash gives no room for it.`);
      before = room.trash.files;
      await (this.#shrinking ??= this.#trash.shrink(short).finally(() => (this.#shrinking = undefined)));
    }
    this.#promisedBytes += size;
    if (this.#looked) this.#looked.promisedBytes += size;
  }

  release(size: number): void {
    this.#promisedBytes -= size;
  }

  /** To be told of whatever made a write fail: a medium that is broken is asked for no more of them. */
  failed(error: unknown): void {
    if (faultOf(error) !== "DISK_UNAVAILABLE") return;
    this.#broken = `The medium takes no writes (${(error as NodeJS.ErrnoException).code}).`;
  }

  /** Asks a broken medium, by writing a small file, whether it takes writes again. Answers whether it does. */
  async tryAgain(): Promise<boolean> {
    if (!this.#broken) return true;
    const { files, tmp } = this.#folder;
    const path = join(tmp, "trial");
    try {
      await replaceFile(files, path, join(tmp, "trial.new"), "written\n");
      await files.rm(path, { force: true });
      this.#broken = "";
    } catch (error) {
      this.failed(error);
    }
    return !this.#broken;
  }

  async #look(): Promise<Look> {
    const filesystem = await this.#folder.files.statfs(this.#folder.chunks);
    this.#looked = { filesystem, atMs: this.#folder.files.now(), promisedBytes: this.#promisedBytes };
    return this.#looked;
  }

  /** What has been promised since the look may have been written since: it is not given back before the next one. */
  #isAmple(): boolean {
    if (!this.#looked || Math.abs(this.#folder.files.now() - this.#looked.atMs) > LOOK_MS) return false;
    const room = this.#roomOf(this.#looked.filesystem, this.#looked.promisedBytes);
    const short = lacking(room, AMPLE_BYTES);
    return short.files + short.bytes === 0;
  }

  #roomOf(fs: Filesystem, promisedBytes: number): Room {
    return {
      freeBytes: fs.bavail * fs.bsize,
      reserveBytes: this.#reserveBytes,
      promisedBytes,
      trash: this.#trash.content,
      // Filesystems that make inodes as they go (btrfs) report none.
      freeFiles: fs.files > 0 ? fs.ffree : undefined,
    };
  }
}
