import * as fc from "fast-check";
import { errorType } from "../../../services/kernel/errors.ts";
import { decodeCursor, encodeCursor } from "../../../services/videos/domain/cursor.ts";

const positions = fc.record({ createdUs: fc.bigInt({ min: 0n, max: 10n ** 16n - 1n }).map(String), id: fc.uuid() });

function outcome(cursor: string): string | undefined {
  try {
    return decodeCursor(cursor) && "a position";
  } catch (error) {
    return errorType(error);
  }
}

describe("a cursor", () => {
  it("comes back as the position that it was made of, to the microsecond, and fits into an address", () => {
    fc.assert(
      fc.property(positions, (position) => {
        const cursor = encodeCursor(position);
        expect(decodeCursor(cursor)).toEqual(position);
        expect(cursor).toMatch(/^[A-Za-z0-9_-]{1,200}$/);
      }),
    );
  });

  it.each([
    "",
    "x",
    "1.2",
    encodeCursor({ createdUs: "-1", id: crypto.randomUUID() }),
    encodeCursor({ createdUs: "1", id: "x".repeat(36) }),
  ])("that nobody made is refused: %j", (cursor) => {
    expect(() => decodeCursor(cursor)).toThrow(expect.objectContaining({ type: "INVALID_REQUEST" }) as Error);
  });

  it("is refused whatever bytes it holds, and never breaks anything", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 100 }), (cursor) => {
        expect(["a position", "INVALID_REQUEST"]).toContain(outcome(cursor));
      }),
    );
  });
});
