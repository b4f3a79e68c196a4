/** Bytes flow through a process without its marking the whole of its heap again and again for buffers that are garbage. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DiskClient } from "../../mixins/disks/client.ts";
import { CHUNK_BYTES_MAX } from "../../services/kernel/limits.ts";
import { randomChunk, startDisk } from "../support/disks.ts";

const SECRET = "a secret of the tests";
const CHUNKS = 96;
const AT_ONCE = 4;

/** Runs in the disk: at its end it writes down how often all of its heap was marked. */
const COUNT = `
import { writeFileSync } from "node:fs";
import { constants, PerformanceObserver } from "node:perf_hooks";
let marked = 0;
const isMajor = ({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
new PerformanceObserver((list) => (marked += list.getEntries().filter(isMajor).length)).observe({ entryTypes: ["gc"] });
process.on("exit", () => writeFileSync(process.env.MARKED_FILE, String(marked)));
`;

let root: string;

beforeEach(async () => (root = await mkdtemp(join(tmpdir(), "tritontube-heap-"))));
afterEach(async () => await rm(root, { recursive: true, force: true }));

async function store(client: DiskClient): Promise<void> {
  for (let left = CHUNKS; left > 0; left -= AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, async () => await client.putChunk({ ...randomChunk(CHUNK_BYTES_MAX), epoch: 1 })));
  }
}

it("a disk that takes three quarters of a gigabyte marks its heap a few times", async () => {
  await writeFile(join(root, "count.mjs"), COUNT);
  const settings = { NODE_OPTIONS: `--import ${join(root, "count.mjs")}`, MARKED_FILE: join(root, "marked") };
  const disk = await startDisk({ dir: join(root, "disk"), secret: SECRET, settings });
  const client = new DiskClient({ address: disk.address, secret: SECRET });
  await store(client).finally(() => client.close());
  expect(await disk.kill("SIGTERM")).toBe(0);
  expect(Number(await readFile(join(root, "marked"), "utf8"))).toBeLessThanOrEqual(10);
});
