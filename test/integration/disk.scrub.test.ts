/** Chunks that nobody asks for are verified as well, slowly, by a disk that remembers where it was. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DiskClient } from "../../mixins/disks/client.ts";
import { chunkFile, filesIn, flipByte, randomChunk, startDisk, type TestDisk } from "../support/disks.ts";
import { eventually } from "../support/eventually.ts";

const SECRET = "a secret of the tests";
/** Reads 64 KiB a second: chunks of this length take more than a second each. */
const SLOWLY = { SCRUB_BYTES_PER_SECOND: String(64 * 1024) };
const SLOW_BYTES = 100_000;

let root: string;
let disk: TestDisk;
let client: DiskClient;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tritontube-scrub-"));
});
afterEach(async () => {
  client.close();
  await disk.kill();
  await rm(root, { recursive: true, force: true });
});

async function start(settings: Readonly<Record<string, string>> = {}): Promise<void> {
  disk = await startDisk({ dir: join(root, "disk"), secret: SECRET, settings });
  client = new DiskClient({ address: disk.address, secret: SECRET });
}

async function stored(count: number, size: number): Promise<string[]> {
  const chunks = Array.from({ length: count }, () => randomChunk(size));
  for (const chunk of chunks) await client.putChunk({ ...chunk, epoch: 1 });
  return chunks.map(({ hash }) => hash);
}

const idle = () => eventually(async () => !(await client.getDisk()).scrub.running, { what: "the end of the pass" });

describe("the scrub", () => {
  it("looks at every chunk of a disk, takes out of service what is bad, and says since when the oldest was not looked at", async () => {
    await start();
    await eventually(async () => (await client.getDisk()).scrub.oldestVerifiedAt, { what: "the first pass" });
    const hashes = await stored(30, 5000);
    for (const hash of hashes.slice(0, 3)) await flipByte(chunkFile(disk, hash), 4999);
    const before = Date.now();
    await client.scrubDisk({ now: true });
    await idle();
    const { scrub, faults, chunks, quarantine } = await client.getDisk();
    expect({ faults, chunks, quarantined: quarantine.files }).toEqual({ faults: 3, chunks: 27, quarantined: 3 });
    expect(scrub).toMatchObject({ checkedChunks: 30, checkedBytes: 150_000, progress: 1 });
    expect(scrub.oldestVerifiedAt).toBeGreaterThanOrEqual(Math.floor(before / 1000) * 1000);
    expect(new Set((await filesIn(disk, "quarantine")).map((name) => name.split("-")[1]))).toEqual(new Set(hashes.slice(0, 3)));
  });

  it("begins by itself", async () => {
    await start();
    expect(await eventually(async () => (await client.getDisk()).scrub.oldestVerifiedAt, { what: "the first pass" })).toBeGreaterThan(0);
  });

  it("goes on where it was after a restart, and keeps to its rate", async () => {
    await start(SLOWLY);
    await client.scrubDisk({ paused: true });
    await stored(20, SLOW_BYTES);
    await client.scrubDisk({ now: true, paused: false });
    const began = Date.now();
    await eventually(async () => (await client.getDisk()).scrub.checkedChunks >= 3, { what: "three chunks" });
    expect(Date.now() - began).toBeGreaterThan(1000);
    await disk.kill("SIGTERM");
    await disk.restart();
    const { scrub } = await client.getDisk();
    expect(scrub).toMatchObject({ running: true, paused: false });
    expect(scrub.checkedChunks).toBeGreaterThanOrEqual(3);
    expect(scrub.checkedChunks).toBeLessThan(20);
    await disk.restart({ SCRUB_BYTES_PER_SECOND: String(1024 ** 3) });
    await idle();
    expect((await client.getDisk()).scrub.checkedChunks).toBe(20);
  });

  it("stands still while it is paused, also after a restart", async () => {
    await start();
    await client.scrubDisk({ paused: true });
    await idle();
    await disk.restart();
    await stored(3, 1000);
    expect(await client.scrubDisk({ now: true })).toMatchObject({ running: true, paused: true, checkedChunks: 0 });
    await client.scrubDisk({ paused: false });
    await idle();
    expect((await client.getDisk()).scrub.checkedChunks).toBe(3);
  });

  it("begins anew when what it remembers is damaged", async () => {
    await start();
    await stored(2, 1000);
    await idle();
    await disk.kill("SIGTERM");
    await flipByte(join(disk.dir, "scrub.json"), 0);
    await disk.restart();
    expect(await eventually(async () => (await client.getDisk()).scrub.oldestVerifiedAt, { what: "the first pass" })).toBeGreaterThan(0);
  });
});
