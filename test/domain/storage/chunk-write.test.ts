import { createHash, randomBytes } from "node:crypto";
import { failure } from "../../../services/kernel/errors.ts";
import { writeChunk, type Sends } from "../../../services/storage/disks/chunk-write.ts";
import type { Placement, StorageDisk } from "../../../services/storage/domain/ring.ts";

const bytes = randomBytes(100);
const chunk = { hash: createHash("sha256").update(bytes).digest("hex"), bytes, release() {} };
const [full, silent, good, spare] = ["a", "b", "c", "d"].map((id) => ({ id, address: `${id}:1`, zone: id })) as [
  StorageDisk,
  StorageDisk,
  StorageDisk,
  StorageDisk,
];
const placement: Placement = {
  epoch: 1,
  disks: [full, silent, good, spare],
  leaving: [],
  owners: () => [full, silent, good],
  former: () => [],
  others: () => [spare],
};

/** One disk is full, and one says nothing until it is not waited for any more. */
function poolOf(answers: (asked: number) => boolean): Sends {
  let asked = 0;
  return {
    isSuspect: () => false,
    suspect() {},
    answers: async () => answers(++asked),
    async put(disk, _, signal) {
      if (disk === full) throw failure("DISK_FULL", "There is no room.");
      if (disk === silent) await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
    },
  };
}

describe("the write of a chunk", () => {
  it.each([
    ["never says", () => false],
    ["said once, and then no more,", (asked: number) => asked === 1],
  ])("asks another disk in place of one that %s that it is there, although it was counted on", async (_, answers) => {
    const { disks } = await writeChunk(poolOf(answers), chunk, placement, new AbortController().signal);
    expect(disks.toSorted()).toEqual(["c", "d"]);
  });
});
