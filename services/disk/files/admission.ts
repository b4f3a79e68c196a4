/** Whether chunks are let in: the room on the filesystem, what is promised of it, and whether the medium takes writes at all. */
import { join } from "node:path";
import { failure } from "../../kernel/errors.ts";
import { faultOf } from "../domain/faults.ts";
import { lacking, type Room, roomLeft, whyReadOnly } from "../domain/room.ts";
import type { Bin } from "./bin.ts";
import type { DiskFolder } from "./folder.ts";
import { replaceFile } from "./io.ts";
import type { Files } from "./port.ts";

type Filesystem = Awaited<ReturnType<Files["statfs"]>>;

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
  /** Why the medium takes no writes. */
  #broken = "";
  #shrinking: Promise<void> | undefined;

  constructor(folder: DiskFolder, trash: Bin, reserveBytes: number) {
    this.#folder = folder;
    this.#trash = trash;
    this.#reserveBytes = reserveBytes;
  }

  async now(): Promise<RoomNow> {
    const filesystem = await this.#look();
    const room = this.#roomOf(filesystem);
    return { capacityBytes: filesystem.blocks * filesystem.bsize, freeBytes: roomLeft(room), readOnly: this.#broken || whyReadOnly(room) };
  }

  /** Keeps room for a chunk until `release`; old files of the trash make way for it. DISK_FULL, DISK_READ_ONLY. */
  async promise(size: number): Promise<void> {
    if (this.#broken) throw failure("DISK_READ_ONLY", this.#broken);
    for (let before = Infinity; ;) {
      const filesystem = await this.#look();
      // Nothing is awaited between this and the promise: two writers cannot both be given the last room.
      const room = this.#roomOf(filesystem);
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

  async #look(): Promise<Filesystem> {
    return await this.#folder.files.statfs(this.#folder.chunks);
  }

  #roomOf(fs: Filesystem): Room {
    return {
      freeBytes: fs.bavail * fs.bsize,
      reserveBytes: this.#reserveBytes,
      promisedBytes: this.#promisedBytes,
      trash: this.#trash.content,
      // Filesystems that make inodes as they go (btrfs) report none.
      freeFiles: fs.files > 0 ? fs.ffree : undefined,
    };
  }
}
