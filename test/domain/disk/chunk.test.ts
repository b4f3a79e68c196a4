import { folderOf, hashOf, isWhole, rangeOf } from "../../../services/disk/domain/chunk.ts";
import { binName, isOver } from "../../../services/disk/domain/bin.ts";
import { faultOf } from "../../../services/disk/domain/faults.ts";
import { roomLeft } from "../../../services/disk/domain/room.ts";

const hash = "0123456789abcdef".repeat(4);

describe("a chunk", () => {
  it("is named by 32 bytes and lies two folders deep", () => {
    expect(hashOf(Buffer.from(hash, "hex"))).toBe(hash);
    expect(folderOf(hash)).toBe("01/23");
  });

  it.each([
    [
      { offset: 0, length: 0 },
      { start: 0, end: 10 },
    ],
    [
      { offset: 4, length: 0 },
      { start: 4, end: 10 },
    ],
    [
      { offset: 4, length: 6 },
      { start: 4, end: 10 },
    ],
    [
      { offset: 9, length: 1 },
      { start: 9, end: 10 },
    ],
  ])("of ten bytes gives %j as %j", (asked, range) => {
    expect(rangeOf(asked, 10)).toEqual(range);
  });

  it.each([
    { offset: 10, length: 0 },
    { offset: 0, length: 11 },
    { offset: 9, length: 2 },
  ])("of ten bytes does not give %j", (asked) => {
    expect(() => rangeOf(asked, 10)).toThrow(expect.objectContaining({ type: "RANGE_NOT_SATISFIABLE" }));
  });

  it("is verified only when it is read whole", () => {
    expect(isWhole(rangeOf({ offset: 0, length: 0 }, 10), 10)).toBe(true);
    expect(isWhole(rangeOf({ offset: 0, length: 10 }, 10), 10)).toBe(true);
    expect(isWhole(rangeOf({ offset: 1, length: 0 }, 10), 10)).toBe(false);
  });
});

describe("room on a disk", () => {
  const room = { freeBytes: 1000, reserveBytes: 100, promisedBytes: 50, freeFiles: 5000 };

  it("is what is free, less the reserve and what was promised to others", () => {
    expect(roomLeft(room)).toBe(850);
    expect(roomLeft({ ...room, reserveBytes: 2000 })).toBe(0);
  });

  it("ends with the inodes, where there are such", () => {
    expect(roomLeft({ ...room, freeFiles: 10 })).toBe(0);
    expect(roomLeft({ ...room, freeFiles: undefined })).toBe(850);
  });
});

describe("a bin", () => {
  it("keeps a chunk for its time, and for ever what it does not know", () => {
    expect(isOver(binName(hash, 1000), 500, 1501)).toBe(true);
    expect(isOver(binName(hash, 1000), 500, 1500)).toBe(false);
    expect(isOver("lost+found", 500, 1e15)).toBe(false);
  });
});

describe("an error of the operating system", () => {
  it.each([
    ["ENOSPC", "DISK_FULL"],
    ["EIO", "DISK_UNAVAILABLE"],
    ["EMFILE", "TOO_BUSY"],
    ["EISDIR", undefined],
  ])("%s is told as %s", (code, type) => {
    expect(faultOf(Object.assign(new Error("no"), { code }))).toBe(type);
  });
});
