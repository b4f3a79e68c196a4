import * as fc from "fast-check";
import { advance, opening, type PutPart, type PutState } from "../../../services/disk/domain/put.ts";
import { errorType } from "../../../services/kernel/errors.ts";

const sha256 = Buffer.alloc(32, 0xab);
const header = (size: number): PutPart => ({ $case: "header", value: { sha256, size, epoch: 7 } });
const data = (bytes: number): PutPart => ({ $case: "data", value: Buffer.alloc(bytes) });
const commit: PutPart = { $case: "commit" };

const run = (parts: readonly (PutPart | undefined)[]): PutState => parts.reduce<PutState>((state, part) => advance(state, part), opening);

function refusal(parts: readonly (PutPart | undefined)[]): string | undefined {
  try {
    run(parts);
    return undefined;
  } catch (error) {
    return errorType(error);
  }
}

describe("an upload of a chunk", () => {
  it("is committed by header, all bytes, and commit", () => {
    expect(run([header(5), data(2), data(3), commit])).toEqual({
      name: "committed",
      header: { hash: "ab".repeat(32), size: 5, epoch: 7 },
    });
  });

  it.each([
    ["one byte too few", [header(5), data(4), commit]],
    ["one byte too many", [header(5), data(6)]],
    ["no byte at all", [header(5), commit]],
  ])("is refused with %s", (_what, parts) => {
    expect(refusal(parts)).toBe("LENGTH_MISMATCH");
  });

  it.each([
    ["data first", [data(1)]],
    ["a commit first", [commit]],
    ["an empty message", [undefined]],
    ["a second header", [header(1), header(1)]],
    ["anything after the commit", [header(1), data(1), commit, data(1)]],
    ["a header of no bytes", [header(0)]],
    ["a header of more than 8 MiB", [header(8 * 1024 * 1024 + 1)]],
    ["a name that is not 32 bytes", [{ $case: "header", value: { sha256: Buffer.from("../../etc"), size: 1, epoch: 0 } } as const]],
  ])("is refused with %s", (_what, parts) => {
    expect(refusal(parts)).toBe("INVALID_REQUEST");
  });

  it("is committed by no other sequence of messages", () => {
    const part = fc.oneof(fc.constant(header(4)), fc.nat(5).map(data), fc.constant(commit), fc.constant(undefined));
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        const wellFormed =
          parts.length >= 2 &&
          parts[0]?.$case === "header" &&
          parts.at(-1)?.$case === "commit" &&
          parts.slice(1, -1).every((middle) => middle?.$case === "data") &&
          parts.reduce((sum, middle) => sum + (middle?.$case === "data" ? middle.value.length : 0), 0) === 4;
        const committed = refusal(parts) === undefined && run(parts).name === "committed";
        expect(committed).toBe(wellFormed);
      }),
    );
  });
});
