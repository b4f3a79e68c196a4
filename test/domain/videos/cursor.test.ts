import * as fc from "fast-check";
import { errorType } from "../../../services/kernel/errors.ts";
import { CURSOR_LENGTH_MAX } from "../../../services/videos/contract.ts";
import { decodeCursor, encodeCursor, type Position } from "../../../services/videos/domain/cursor.ts";
import type { Order, SortKey } from "../../../services/videos/domain/listing.ts";

const keys: Readonly<Record<SortKey, fc.Arbitrary<string>>> = {
  createdAt: fc.bigInt({ min: 0n, max: 10n ** 16n - 1n }).map(String),
  title: fc.string({ unit: fc.constantFrom("a", "é", "語", "😀", " "), maxLength: 200 }),
  duration: fc.double({ min: 1e-5, max: 1e9, noNaN: true, noDefaultInfinity: true }).map(String),
  views: fc.bigInt({ min: 0n, max: 10n ** 18n - 1n }).map(String),
  relevance: fc.bigInt({ min: 0n, max: 10n ** 18n - 1n }).map(String),
};
const positions = fc.constantFrom(...(Object.keys(keys) as SortKey[])).chain((key) =>
  fc.record({
    order: fc.record({ key: fc.constant(key), descending: fc.boolean() }),
    position: fc.record({ key: keys[key], id: fc.uuid() }),
  }),
);
const newest: Order = { key: "createdAt", descending: true };
const id = "01a203b4-b65e-74e3-99d6-2b999bc439a8";

function outcome(cursor: string, order = newest): string | undefined {
  try {
    return decodeCursor(order, cursor) && "a position";
  } catch (error) {
    return errorType(error);
  }
}

describe("a cursor", () => {
  it("comes back as the position that it was made of, and fits into an address", () => {
    fc.assert(
      fc.property(positions, ({ order, position }) => {
        const cursor = encodeCursor(order, position);
        expect(decodeCursor(order, cursor)).toEqual(position);
        expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(cursor.length).toBeLessThanOrEqual(CURSOR_LENGTH_MAX);
      }),
    );
  });

  it.each<[string, Position, Order]>([
    ["a negative time", { key: "-1", id }, newest],
    ["a time that is none", { key: "infinity", id }, newest],
    ["another id", { key: "1", id: "x".repeat(36) }, newest],
    ["a character that no text column holds", { key: "a\0", id }, { key: "title", descending: false }],
    ["half a character", { key: "\ud800", id }, { key: "title", descending: false }],
    ["a number that is none", { key: "NaN", id }, { key: "duration", descending: false }],
    ["more views than a column holds", { key: "9".repeat(19), id }, { key: "views", descending: true }],
  ])("with %s is refused", (_what, position, order) => {
    expect(outcome(encodeCursor(order, position), order)).toBe("INVALID_REQUEST");
  });

  it("of one order is refused by a list in another", () => {
    const cursor = encodeCursor(newest, { key: "1", id });
    expect(outcome(cursor, { key: "createdAt", descending: false })).toBe("INVALID_REQUEST");
    expect(outcome(cursor, { key: "views", descending: true })).toBe("INVALID_REQUEST");
  });

  it("is refused whatever bytes it holds, and never breaks anything", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 100 }), (cursor) => {
        expect(outcome(cursor)).toBe("INVALID_REQUEST");
      }),
    );
  });
});
