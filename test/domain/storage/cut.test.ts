import { randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { errorType } from "../../../services/kernel/errors.ts";
import { CHUNK_BYTES_MAX } from "../../../services/kernel/limits.ts";
import { behind, type Cut, cutsOf, PIECE_BYTES, piecesOf } from "../../../services/storage/domain/cut.ts";

const blob = "b".repeat(64);
const manifestOf = (size: number) => ({ blob, size, chunks: new Uint8Array(randomBytes(32 * Math.ceil(size / CHUNK_BYTES_MAX))) });

describe("the cuts of a range", () => {
  it("are the bytes of the range, in order, each once", () => {
    const any = fc.integer({ min: 1, max: 5 * CHUNK_BYTES_MAX });
    fc.assert(
      fc.property(any, any, any, (size, one, other) => {
        const manifest = manifestOf(size);
        const [start, end] = [Math.min(one, other) % size, Math.min(size, Math.max(one, other))];
        fc.pre(start < end);
        let at = start;
        for (const { hash, size: length, from, to } of cutsOf(manifest, start, end)) {
          const index = Math.floor(at / CHUNK_BYTES_MAX);
          expect(hash).toBe(Buffer.from(manifest.chunks.subarray(index * 32, index * 32 + 32)).toString("hex"));
          expect(length).toBe(Math.min(CHUNK_BYTES_MAX, size - index * CHUNK_BYTES_MAX));
          expect(from).toBe(at - index * CHUNK_BYTES_MAX);
          expect(to).toBeGreaterThan(from);
          expect(to).toBeLessThanOrEqual(length);
          at += to - from;
        }
        expect(at).toBe(end);
      }),
      { numRuns: 1000 },
    );
  });

  it("are all chunks when nothing is said", () => {
    expect([...cutsOf(manifestOf(2 * CHUNK_BYTES_MAX))].map(({ from, to }) => [from, to])).toEqual([
      [0, CHUNK_BYTES_MAX],
      [0, CHUNK_BYTES_MAX],
    ]);
  });

  it.each([
    [10, 11],
    [0, 11],
    [3, 3],
    [4, 2],
  ])("are none from %i to %i of ten bytes", (start, end) => {
    let thrown: unknown;
    try {
      Array.from(cutsOf(manifestOf(10), start, end));
    } catch (error) {
      thrown = error;
    }
    expect(errorType(thrown)).toBe("RANGE_NOT_SATISFIABLE");
  });
});

describe("the pieces of a range", () => {
  it("are its bytes, in order, each once, and end where whole pieces of their chunks do", () => {
    const any = fc.integer({ min: 1, max: 3 * CHUNK_BYTES_MAX });
    const lengths = fc.array(fc.constantFrom(PIECE_BYTES, 2 * PIECE_BYTES, 8 * PIECE_BYTES), { minLength: 1 });
    fc.assert(
      fc.property(any, any, any, lengths, (size, one, other, asked) => {
        const manifest = manifestOf(size);
        const [start, end] = [Math.min(one, other) % size, Math.min(size, Math.max(one, other))];
        fc.pre(start < end);
        const cuts = [...cutsOf(manifest, start, end)];
        let nth = 0;
        const pieces = [...piecesOf(cuts, () => asked[nth++ % asked.length]!)];
        const cutEnds = new Set(cuts.map(({ to }) => to));
        for (const { from, to } of pieces) {
          expect(to - from).toBeLessThanOrEqual(8 * PIECE_BYTES);
          expect(to % PIECE_BYTES === 0 || cutEnds.has(to)).toBe(true);
        }
        expect(joined(pieces)).toEqual(cuts);
      }),
      { numRuns: 300 },
    );
  });

  it("are whole chunks where these are short", () => {
    const cuts = [...cutsOf(manifestOf(CHUNK_BYTES_MAX + 1_000_000), CHUNK_BYTES_MAX)];
    expect([...piecesOf(cuts, () => PIECE_BYTES)]).toEqual(cuts);
  });
});

describe("what is behind the first bytes", () => {
  it("is what is left of the cuts, in order", () => {
    const any = fc.integer({ min: 1, max: 3 * CHUNK_BYTES_MAX });
    fc.assert(
      fc.property(any, fc.nat(), (size, some) => {
        const manifest = manifestOf(size);
        const taken = some % size;
        expect([...behind(cutsOf(manifest), taken)]).toEqual([...cutsOf(manifest, taken)]);
        expect([...behind(cutsOf(manifest), size)]).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});

function joined(pieces: readonly Cut[]): Cut[] {
  return pieces.reduce<Cut[]>((sofar, piece) => {
    const last = sofar.at(-1);
    if (last?.hash !== piece.hash || last.to !== piece.from) return [...sofar, piece];
    return [...sofar.slice(0, -1), { ...last, to: piece.to }];
  }, []);
}
