import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { addToDigests, emptyDigests, partitionOf } from "../../../services/kernel/digests.ts";
import { differing, someNameIn } from "../../../services/upkeep/domain/differences.ts";
import { Pace } from "../../../services/upkeep/domain/pace.ts";
import { Watch } from "../../../services/upkeep/domain/watch.ts";

const sha256 = (n: number) => createHash("sha256").update(String(n)).digest();
const disk = (id: string, up = true, faults = 0) => ({ id, up, faults });
const everything = () => true;
const digestsOf = (bits: number, chunks: readonly number[]) => {
  const digests = emptyDigests(bits);
  for (const n of chunks) addToDigests(digests, bits, sha256(n));
  return digests;
};

describe("the pace of moves", () => {
  it("lets no more through in any time than its rate, and owes nothing for an idle time", () => {
    const pace = new Pace(1000);
    expect(pace.delayOf(500, 0)).toBe(0);
    expect(pace.delayOf(2000, 100)).toBe(400);
    expect(pace.delayOf(1, 100)).toBe(2400);
    expect(pace.delayOf(1000, 60_000)).toBe(0);
    expect(pace.delayOf(1000, 60_000)).toBe(1000);
  });
});

describe("digests of a disk and of the rows", () => {
  it("differ in exactly the partitions where the disk has something else than it should", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.uniqueArray(fc.nat(5000), { maxLength: 60 }),
        fc.uniqueArray(fc.nat(5000), { maxLength: 60 }),
        fc.func(fc.boolean()),
        (bits, theirs, ours, owned) => {
          const owns = (partition: number) => owned(partition);
          const found = differing({ theirs: digestsOf(bits, theirs), ours: digestsOf(bits, ours), first: 0, owns });
          const wanted = Array.from({ length: 2 ** bits }, (_, partition) => partition).filter((partition) => {
            const inside = (chunks: readonly number[]) =>
              chunks.filter((n) => partitionOf(sha256(n), bits) === partition).toSorted((a, b) => a - b);
            return String(inside(theirs)) !== String(owns(partition) ? inside(ours) : []);
          });
          expect(found).toEqual(wanted);
        },
      ),
    );
  });

  it("are compared a range at a time", () => {
    const [theirs, ours] = [digestsOf(4, [1, 2, 3]), digestsOf(4, [1, 2])];
    const at = partitionOf(sha256(3), 4);
    expect(differing({ theirs, ours: ours.subarray(at * 12, at * 12 + 12), first: at, owns: everything })).toEqual([at]);
  });

  it.each([1, 4, 12, 16])("know a name in every partition of %d bits", (bits) => {
    for (const partition of [0, 1, 2 ** bits - 1]) {
      expect(partitionOf(Buffer.from(someNameIn(partition, bits), "hex"), bits)).toBe(partition);
    }
  });
});

describe("the watch over disks", () => {
  it("wants a disk compared that was away, is new, or has new faults, as long as it answers", () => {
    const watch = new Watch();
    watch.look([disk("a"), disk("b", false)]);
    expect(watch.due).toEqual(["a"]);
    watch.compared("a");
    watch.look([disk("a"), disk("b")]);
    expect(watch.due).toEqual(["b"]);
    watch.look([disk("a", false), disk("b", false)]);
    expect(watch.due).toEqual([]);
    watch.look([disk("a", true, 1), disk("b")]);
    expect(watch.due.toSorted()).toEqual(["a", "b"]);
    watch.compared("a");
    watch.compared("b");
    watch.look([disk("a", true, 1), disk("b")]);
    expect(watch.due).toEqual([]);
    watch.look([disk("a", true, 2), disk("b")]);
    expect(watch.due).toEqual(["a"]);
  });
});
