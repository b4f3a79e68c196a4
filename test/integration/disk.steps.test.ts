/** What a chunk costs a disk in calls of its file system: each is a thread that is woken, and that wakes another. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Files, nodeFiles } from "../../services/disk/files/port.ts";
import { ChunkStore } from "../../services/disk/files/store.ts";
import { randomChunk } from "../support/disks.ts";
import { eventually } from "../support/eventually.ts";

interface Chunk {
  readonly hash: string;
  readonly bytes: Buffer;
}

let root: string;
let disk: ChunkStore;
let steps: string[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tritontube-steps-"));
  disk = await ChunkStore.open(join(root, "disk"), { reserveBytes: 0, trashKeepMs: 1000 }, counted());
  steps = [];
});
afterEach(async () => {
  disk.close();
  await rm(root, { recursive: true, force: true });
});

async function noted<T>(name: string, work: Promise<T>): Promise<T> {
  steps.push(name);
  return await work;
}

/** Node's files, which write down what is asked of them. */
function counted(): Files {
  return {
    ...nodeFiles,
    open: async (path, flags) => await noted(`open ${flags}`, nodeFiles.open(path, flags)),
    openFolder: async (path) => await noted("open a folder", nodeFiles.openFolder(path)),
    stat: async (path, options) => await noted("stat", nodeFiles.stat(path, options)),
    mkdir: async (path, options) => await noted("mkdir", nodeFiles.mkdir(path, options)),
    rename: async (from, to) => await noted("rename", nodeFiles.rename(from, to)),
  };
}

/** Answers whether it was there; the steps that it took are in `steps`. */
async function put({ hash, bytes }: Chunk): Promise<boolean> {
  steps = [];
  const incoming = await disk.begin({ hash, size: bytes.length, epoch: 1 });
  if (!incoming) return true;
  try {
    await incoming.write(bytes);
    return await disk.publish(incoming);
  } finally {
    await disk.end(incoming);
  }
}

const pathOf = (hash: string): string => join(root, "disk", "chunks", hash.slice(0, 2), hash.slice(2, 4), hash);

/** Another chunk, of a name that begins as it has to. */
function chunkNamed(suits: (hash: string) => boolean): Chunk {
  for (;;) {
    const chunk = randomChunk(16);
    if (suits(chunk.hash)) return chunk;
  }
}

/** Lies in the folder of another one, and is not taken for it: a disk tells names apart by their first six digits. */
function besides({ hash }: Chunk): Chunk {
  return chunkNamed((other) => other.slice(0, 4) === hash.slice(0, 4) && other.slice(0, 6) !== hash.slice(0, 6));
}

/** Has no folder in common with another one but that of all chunks. */
function farFrom({ hash }: Chunk): Chunk {
  return chunkNamed((other) => other.slice(0, 2) !== hash.slice(0, 2));
}

describe("a chunk that is new to a disk", () => {
  it("is looked for nowhere, and takes three steps beside its bytes and their syncs", async () => {
    const first = randomChunk(1000);
    await put(first);
    expect(await put(besides(first))).toBe(false);
    expect(steps).toEqual(["open wx", "rename", "open a folder"]);
  });

  it("has its folder made and three folders synced where it is the first in all of them", async () => {
    const first = randomChunk(1000);
    await put(first);
    expect(await put(farFrom(first))).toBe(false);
    expect(steps.filter((step) => step !== "open a folder")).toEqual(["open wx", "mkdir", "rename"]);
    expect(steps.filter((step) => step === "open a folder")).toHaveLength(3);
  });

  it("takes the place of what somebody else has put there", async () => {
    const chunk = randomChunk(1000);
    await mkdir(dirname(pathOf(chunk.hash)), { recursive: true });
    await writeFile(pathOf(chunk.hash), "something else");
    expect(await put(chunk)).toBe(false);
    expect((await readFile(pathOf(chunk.hash))).equals(chunk.bytes)).toBe(true);
  });
});

describe("a chunk that a disk has", () => {
  it("is found when it is offered again", async () => {
    const chunk = randomChunk(1000);
    await put(chunk);
    expect(await put(chunk)).toBe(true);
    expect(steps).not.toContain("open wx");
  });

  it("is found after a restart", async () => {
    const chunk = randomChunk(1000);
    await put(chunk);
    disk.close();
    disk = await ChunkStore.open(join(root, "disk"), { reserveBytes: 0, trashKeepMs: 1000 }, counted());
    expect(await put(chunk)).toBe(true);
    expect(steps).not.toContain("open wx");
  });

  it("is stored once by two who offer it at the same time", async () => {
    const chunk = randomChunk(1000);
    const outcomes = await Promise.all([put(chunk), put(chunk)]);
    expect(outcomes.toSorted()).toEqual([false, true]);
    await eventually(async () => (await disk.usage()).chunks === 1, { what: "one chunk" });
  });
});
