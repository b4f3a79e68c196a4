import { createHash, randomBytes } from "node:crypto";
import type { Chance, Clock } from "../../../bench/simulation/clock.ts";
import { SimulatedDisk } from "../../../bench/simulation/disk.ts";
import { never } from "../../../bench/simulation/files.ts";
import { SHIPPED } from "../../../bench/simulation/rules.ts";
import { uploadOf } from "../../../mixins/disks/chunks.ts";

/** Nothing happens by chance, and nothing after a time; every file operation takes a turn of the event loop where it is to be slow. */
const worldOf = (isSlow: boolean) => ({
  chance: { of: () => isSlow, between: (low: number) => low, random: () => 0, delay: () => 0 } as unknown as Chance,
  clock: { now: 0, after() {}, sleep: async (ms: number) => await (ms === 0 ? nextTurn() : never()) } as unknown as Clock,
});
const nextTurn = async (): Promise<void> => await new Promise((resolve) => setImmediate(resolve));

const newChunk = () => {
  const bytes = randomBytes(100);
  return { bytes, hash: createHash("sha256").update(bytes).digest("hex") };
};
const failsWith = (type: string) => expect.objectContaining({ type });
type Stored = ReturnType<typeof newChunk>;

async function newDisk(isSlow = false): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk(1, "a", { ...worldOf(isSlow), rules: SHIPPED, start() {} });
  await disk.start();
  return disk;
}

const put = async (disk: SimulatedDisk, chunk: Stored): Promise<unknown> =>
  await disk.serve(async (handlers) => await handlers.putChunk(messagesOf(chunk)));

async function* messagesOf({ hash, bytes }: Stored) {
  yield* uploadOf({ hash, bytes, epoch: 1 });
}

/** Ways to ask a disk whether it holds a chunk. */
const LOOKS = {
  stat: async (disk: SimulatedDisk, { hash }: Stored): Promise<boolean> =>
    (await disk.serve(async (handlers) => await handlers.statChunk({ sha256: Buffer.from(hash, "hex") }))).found,
  list: async (disk: SimulatedDisk, { hash }: Stored): Promise<boolean> => {
    let found = false;
    const page = { bits: 16, partition: Number.parseInt(hash.slice(0, 4), 16), after: Buffer.alloc(0), limit: 10 };
    await disk.serve(async (handlers) => {
      await handlers.listChunks(page, async ({ chunks }) => void (found ||= chunks.length > 0));
    });
    return found;
  },
};
const looks = Object.entries(LOOKS);

/** Whether a chunk is there when nothing is left but what is durable. */
const isDurable = (disk: SimulatedDisk, { hash, bytes }: Stored): boolean => disk.durableChunk(hash)?.equals(bytes) === true;

describe("a look at a disk by a ring", () => {
  const sha256 = Buffer.alloc(32);
  const byRing = {
    stat: async (disk: SimulatedDisk, epoch: number) => await disk.serve(async (handlers) => await handlers.statChunk({ sha256, epoch })),
    list: async (disk: SimulatedDisk, epoch: number) =>
      await disk.serve(
        async (handlers) =>
          await handlers.listChunks({ bits: 16, partition: 0, after: Buffer.alloc(0), limit: 1, epoch }, async () => undefined),
      ),
  };

  it.each(Object.entries(byRing))("lets nothing of an older one be deleted afterwards, a restart between or not: %s", async (_, look) => {
    const disk = await newDisk();
    await look(disk, 5);
    const erase = async (epoch: number): Promise<unknown> =>
      await disk.serve(async (handlers) => await handlers.deleteChunk({ sha256, epoch, version: "some" }));
    await expect(erase(4)).rejects.toEqual(failsWith("DISK_STALE_EPOCH"));
    disk.losePower(0);
    await disk.start();
    await expect(erase(4)).rejects.toEqual(failsWith("DISK_STALE_EPOCH"));
    await expect(look(disk, 4)).rejects.toEqual(failsWith("DISK_STALE_EPOCH"));
    await expect(erase(5)).resolves.toEqual({ existed: false });
  });
});

describe("a chunk that a disk tells it holds", () => {
  it.each(looks)("stays through a power cut, while it is just being stored: %s", async (_, look) => {
    const [disk, chunk] = [await newDisk(true), newChunk()];
    const upload = { ended: false };
    const putting = put(disk, chunk).then(() => (upload.ended = true));
    const told: boolean[] = [];
    const looking: Promise<void>[] = [];
    // At every moment of the upload somebody begins to look.
    while (!upload.ended) {
      looking.push(look(disk, chunk).then((found) => void (found && told.push(isDurable(disk, chunk)))));
      await nextTurn();
    }
    await Promise.all([putting, ...looking]);
    expect([await look(disk, chunk), told.includes(false)]).toEqual([true, false]);
  });

  it.each(looks)("stays through a power cut, wherever the process that stored it was killed: %s", async (_, look) => {
    const told = { found: 0, lost: 0 };
    for (let steps = 1; ; steps++) {
      const [disk, chunk] = [await newDisk(), newChunk()];
      disk.trouble.stepsLeft = steps;
      const upload = { ended: false };
      void put(disk, chunk).then(() => (upload.ended = true));
      // All that can happen happens before the next turn of the event loop: nothing waits for a real medium.
      await nextTurn();
      disk.trouble.stepsLeft = Infinity;
      await disk.start();
      if (await look(disk, chunk)) told[isDurable(disk, chunk) ? "found" : "lost"]++;
      if (upload.ended) break;
    }
    expect(told.found).toBeGreaterThan(1);
    expect(told.lost).toBe(0);
  });
});
