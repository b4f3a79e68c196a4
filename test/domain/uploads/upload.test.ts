import { array, assert, constant, integer, oneof, property } from "fast-check";
import { CHUNK_BYTES_MAX } from "../../../services/kernel/limits.ts";
import { joinPlan, partRoom, type Piece } from "../../../services/uploads/domain/upload.ts";

const pieces = (...sizes: number[]): Piece[] => sizes.map((size, index) => ({ blob: String(index), size }));
const plan = (...sizes: number[]): string[] =>
  joinPlan(pieces(...sizes)).map((run) => `${run.copied ? "copy" : "use"} ${run.pieces.map(({ blob }) => blob).join(" ")}`);
const C = CHUNK_BYTES_MAX;

describe("a part", () => {
  it("never crosses the end of a chunk", () => {
    expect([partRoom(0), partRoom(1), partRoom(C - 1), partRoom(C), partRoom(5 * C + 7)]).toEqual([C, C - 1, 1, C, C - 7]);
  });
});

describe("joining", () => {
  it.each([
    ["whole chunks and a rest are used as they are", [C, C, 7], ["use 0 1 2"]],
    ["a single piece is used as it is", [7], ["use 0"]],
    ["only the chunk that came in two pieces is copied", [C, 5, C - 5, C, 3], ["use 0", "copy 1 2", "use 3 4"]],
    ["two such chunks are copied one by one", [5, C - 5, 6, C - 6], ["copy 0 1", "copy 2 3"]],
    ["a last chunk in pieces is copied", [C, 5, 6], ["use 0", "copy 1 2"]],
    ["what follows a shifted piece is copied until chunks begin where they should", [5, C, C - 5, C], ["copy 0 1 2", "use 3"]],
  ])("%s", (_what, sizes, expected) => {
    expect(plan(...sizes)).toEqual(expected);
  });

  it("keeps every piece, in order, and makes only blobs that can be joined", () => {
    const size = oneof(constant(C), constant(2 * C), integer({ min: 1, max: C }));
    assert(
      property(array(size, { minLength: 1, maxLength: 40 }), (sizes) => {
        const all = pieces(...sizes);
        const runs = joinPlan(all);
        expect(runs.flatMap((run) => run.pieces)).toEqual(all);
        const blobs = runs.flatMap(({ copied, pieces: own }) =>
          copied ? [own.reduce((sum, piece) => sum + piece.size, 0)] : own.map((piece) => piece.size),
        );
        expect(blobs.slice(0, -1).filter((bytes) => bytes % C !== 0)).toEqual([]);
      }),
    );
  });
});
