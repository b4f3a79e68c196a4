import { randomBytes } from "node:crypto";
import { errorType, failure } from "../../../services/kernel/errors.ts";
import type { BlobManifest } from "../../../services/blobs/contract.ts";
import { BlobWriter, type NewBlob } from "../../../services/storage/disks/blob-write.ts";
import type { Sends } from "../../../services/storage/disks/chunk-write.ts";
import type { Placement, StorageDisk } from "../../../services/storage/domain/ring.ts";
import { Buffers } from "../../../services/storage/memory/buffers.ts";

const bytes = randomBytes(1000);
const A: StorageDisk = { id: "a", address: "a:1", zone: "a" };
const B: StorageDisk = { id: "b", address: "b:1", zone: "b" };
const C: StorageDisk = { id: "c", address: "c:1", zone: "c" };
const D: StorageDisk = { id: "d", address: "d:1", zone: "d" };
const E: StorageDisk = { id: "e", address: "e:1", zone: "d" };

const ringOf = (epoch: number, disks: readonly StorageDisk[], leaving: readonly StorageDisk[] = []): Placement => ({
  epoch,
  disks,
  leaving,
  owners: () => disks.slice(0, 3),
  former: () => leaving,
  others: () => disks.slice(3),
});

/** Stores 1000 bytes on three disks by the first ring, which is the other one when the blob is to be committed. */
async function writeWhileItChanges(before: Placement, now: Placement) {
  const held = new Map<string, Buffer>();
  const commits: NewBlob[] = [];
  let current = before;
  const pool: Sends = {
    put: async (disk, chunk) => void held.set(disk.id, Buffer.from(chunk.bytes)),
    isSuspect: () => false,
    suspect() {},
    answers: async () => true,
  };
  const chunks = {
    async read() {
      const asked = [...current.disks, ...current.leaving].flatMap(({ id }) => held.get(id) ?? []);
      if (asked.length === 0) throw failure("CHUNK_NOT_FOUND", "Nobody has it.");
      return [asked[0]!];
    },
  };
  const catalogue = {
    lease: async () => ({ leasedAt: "2000-01-01T00:00:00.000Z" }),
    async commit(blob: NewBlob): Promise<Pick<BlobManifest, "blob">> {
      current = now;
      if (blob.epoch !== now.epoch) throw failure("DISK_STALE_EPOCH", "There is a newer ring.");
      commits.push(blob);
      return { blob: "" };
    },
    reportMissing: async () => {},
  };
  const rings = { current: async () => current, after: async () => current };
  const outcome = await new BlobWriter({ pool, rings, catalogue, chunks }, new Buffers(0)).put(bytes).catch(errorType);
  return { outcome, holders: [...held.keys()], missing: commits.map(({ missing }) => missing.map(({ disk }) => disk)) };
}

describe("a blob of which the ring changes before it is committed", () => {
  it("is committed with what the present owners lack while enough of those who took it are left", async () => {
    const { holders, missing } = await writeWhileItChanges(ringOf(1, [A, B, C]), ringOf(2, [A, B, D]));
    expect({ holders, missing }).toEqual({ holders: ["a", "b", "c"], missing: [["d"]] });
  });

  it("is stored once more where all but one of them have been put out", async () => {
    const { holders, missing } = await writeWhileItChanges(ringOf(1, [A, B, C]), ringOf(2, [C, D, E]));
    expect({ holders, missing }).toEqual({ holders: ["a", "b", "c", "d", "e"], missing: [[]] });
  });

  it("counts those who are only being emptied", async () => {
    const { holders, missing } = await writeWhileItChanges(ringOf(1, [A, B, C]), ringOf(2, [C, D, E], [A]));
    expect({ holders, missing }).toEqual({ holders: ["a", "b", "c"], missing: [["d", "e"]] });
  });

  it("is stored once more where those who are left are all in one zone of several", async () => {
    const { holders, missing } = await writeWhileItChanges(ringOf(1, [D, E, A]), ringOf(2, [D, E, B]));
    expect({ holders, missing }).toEqual({ holders: ["d", "e", "a", "b"], missing: [[]] });
  });

  it("is refused, to be sent again, where none of them is left", async () => {
    const { outcome, missing } = await writeWhileItChanges(ringOf(1, [A, B]), ringOf(2, [C, D, E]));
    expect({ outcome, missing }).toEqual({ outcome: "NOT_ENOUGH_DISKS", missing: [] });
  });
});
