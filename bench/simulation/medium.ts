/**
 * The medium of a simulated disk: files and folders of which the durable state and the one that programs see are told apart. What a power cut
 * leaves is the durable state and any part of what came after it, as POSIX allows: an entry of a folder lasts when the folder was synced, the
 * bytes of a file when the file was.
 */
import { basename, dirname } from "node:path";
import type { Chance } from "./clock.ts";

export interface Inode {
  readonly ino: bigint;
  /** Of a folder: what it holds. */
  readonly entries?: Map<string, Inode>;
  /** Of a folder: what it holds after a power cut, at least. */
  readonly durable?: Map<string, Inode>;
  /** Of a file. */
  bytes: Buffer;
  durableBytes: Buffer;
  /** A sync failed: the kernel has dropped what was to be written, and the next sync says nothing of it. */
  dropped: boolean;
  changedMs: number;
  /** Grows with each change, so that two within a millisecond have two times. */
  changes: number;
}

interface Change {
  readonly folder: Inode;
  readonly name: string;
  readonly to: Inode | undefined;
}

/** Changes of entries that a power cut keeps or loses as one. */
type Step = readonly Change[];

export class Medium {
  root = folderNode(1n);
  readonly #chance: Chance;
  #pending: Step[] = [];
  #inodes = 1n;

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  find(path: string): Inode | undefined {
    let at: Inode | undefined = this.root;
    for (let from = 1; at && from < path.length;) {
      const slash = path.indexOf("/", from);
      const end = slash === -1 ? path.length : slash;
      at = at.entries?.get(path.slice(from, end));
      from = end + 1;
    }
    return at;
  }

  /** ENOENT, ENOTDIR. */
  get(path: string): Inode {
    return this.find(path) ?? fail("ENOENT", path);
  }

  makeFile(path: string, nowMs: number): Inode {
    const file: Inode = {
      ino: ++this.#inodes,
      bytes: Buffer.alloc(0),
      durableBytes: Buffer.alloc(0),
      dropped: false,
      changedMs: nowMs,
      changes: 0,
    };
    this.#take([this.#change(path, file)]);
    return file;
  }

  makeFolder(path: string): void {
    this.#take([this.#change(path, folderNode(++this.#inodes))]);
  }

  rename(from: string, to: string, nowMs: number): void {
    const node = this.get(from);
    this.#take([this.#change(from, undefined), this.#change(to, node)]);
    touched(node, nowMs);
  }

  remove(path: string): void {
    this.get(path);
    this.#take([this.#change(path, undefined)]);
  }

  /** Makes the bytes of a file, or the entries of a folder, durable. */
  sync(node: Inode): void {
    if (!node.entries) {
      if (!node.dropped) node.durableBytes = node.bytes;
      return;
    }
    // With a step goes whatever it builds on.
    const needed = new Set<Step>();
    for (const step of this.#pending.toReversed()) {
      const builtOn = [...needed].flat().some((later) => step.some((change) => isSameEntry(change, later)));
      if (builtOn || step.some(({ folder }) => folder === node)) needed.add(step);
    }
    for (const step of this.#pending) if (needed.has(step)) step.forEach(keep);
    this.#pending = this.#pending.filter((step) => !needed.has(step));
  }

  /** What was not synced is there in `share` of the cases, or not, or half; an entry that builds on a lost one is lost as well. */
  powerLoss(share: number): void {
    const lost: Change[] = [];
    for (const step of this.#pending) {
      const builtOnLost = step.some((change) => lost.some((before) => isSameEntry(before, change)));
      if (!builtOnLost && this.#chance.of(share)) step.forEach(keep);
      else lost.push(...step);
    }
    this.#pending = [];
    this.#settle(this.root, share);
  }

  /** Flips a bit of a file, on the medium itself. */
  rot(file: Inode): void {
    const rotten = Buffer.from(file.bytes);
    rotten[this.#chance.between(0, rotten.length - 1)]! ^= 1 << this.#chance.between(0, 7);
    file.bytes = rotten;
    file.durableBytes = rotten;
  }

  /** Another medium, with nothing on it. */
  wipe(): void {
    this.root = folderNode(++this.#inodes);
    this.#pending = [];
  }

  #change(path: string, to: Inode | undefined): Change {
    return { folder: this.get(dirname(path)), name: basename(path), to };
  }

  #take(step: Step): void {
    for (const { folder, name, to } of step) {
      if (!folder.entries) fail("ENOTDIR", name);
      if (to) folder.entries.set(name, to);
      else folder.entries.delete(name);
    }
    this.#pending.push(step);
  }

  #settle(node: Inode, share: number): void {
    if (!node.entries) {
      node.bytes = this.#leftOf(node, share);
      node.durableBytes = node.bytes;
      node.dropped = false;
      return;
    }
    node.entries.clear();
    for (const [name, child] of node.durable!) {
      node.entries.set(name, child);
      this.#settle(child, share);
    }
  }

  /** Of bytes that were not synced: all, none of them, or some and zeros. */
  #leftOf({ bytes, durableBytes }: Inode, share: number): Buffer {
    if (bytes === durableBytes) return bytes;
    if (this.#chance.of(share)) return bytes;
    if (this.#chance.of(0.5)) return durableBytes;
    return Buffer.concat([bytes.subarray(0, this.#chance.between(0, bytes.length))], bytes.length);
  }
}

export function touched(node: Inode, nowMs: number): void {
  node.changedMs = nowMs;
  node.changes++;
}

/** An error of the operating system. */
export function fail(code: string, path: string): never {
  throw Object.assign(new Error(`${code}: ${path}`), { code });
}

function folderNode(ino: bigint): Inode {
  const none = Buffer.alloc(0);
  return {
    ino,
    entries: new Map(),
    durable: new Map(),
    bytes: none,
    durableBytes: none,
    dropped: false,
    changedMs: 0,
    changes: 0,
  };
}

function keep({ folder, name, to }: Change): void {
  if (to) folder.durable!.set(name, to);
  else folder.durable!.delete(name);
}

function isSameEntry(a: Change, b: Change): boolean {
  return a.folder === b.folder && a.name === b.name;
}
