import * as fc from "fast-check";
import { Names } from "../../../services/disk/domain/names.ts";

const name = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString("hex"));

function namesOf(all: readonly string[]): Names {
  const names = new Names();
  for (const hash of all) names.add(hash);
  return names;
}

describe("the names that a disk knows", () => {
  it("have every chunk that was added", () => {
    fc.assert(
      fc.property(fc.array(name), (all) => {
        const names = namesOf(all);
        expect(all.every((hash) => names.mayHave(hash))).toBe(true);
      }),
    );
  });

  it("do not have a chunk that begins like none of them", () => {
    fc.assert(
      fc.property(fc.array(name), name, (all, other) => {
        fc.pre(all.every((hash) => hash.slice(0, 6) !== other.slice(0, 6)));
        expect(namesOf(all).mayHave(other)).toBe(false);
      }),
    );
  });
});
