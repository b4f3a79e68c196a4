import { missingCopies } from "../../../services/storage/domain/copies.ts";

const owners = (chunk: string) => (chunk === "x" ? ["d1", "d2", "d3"] : ["d2", "d3", "d4"]).map((id) => ({ id }));

describe("missing copies", () => {
  it("are those that owners have not, each once, however often its chunk occurs and whoever stood in", () => {
    const stored = [
      { hash: "x", size: 8, disks: ["d1", "d2", "d9"] },
      { hash: "y", size: 5, disks: ["d2", "d3", "d4"] },
      { hash: "x", size: 8, disks: ["d1", "d2"] },
    ];
    expect(missingCopies(stored, owners)).toEqual([{ chunk: "x", size: 8, disk: "d3" }]);
  });
});
