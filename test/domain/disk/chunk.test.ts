import { folderOf, hashOf, rangeOf } from "../../../services/disk/domain/chunk.ts";
import { binnedAt, binName } from "../../../services/disk/domain/bin.ts";
import { faultOf } from "../../../services/disk/domain/faults.ts";
import { lacking, roomLeft, whyReadOnly } from "../../../services/disk/domain/room.ts";

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
});

describe("room on a disk", () => {
  const room = { freeBytes: 1000, reserveBytes: 100, promisedBytes: 50, trash: { files: 0, bytes: 0 }, freeFiles: 5000 };

  it("is what is free, less the reserve and what was promised to others", () => {
    expect(roomLeft(room)).toBe(850);
    expect(roomLeft({ ...room, reserveBytes: 2000 })).toBe(0);
  });

  it("ends with the inodes, where there are such", () => {
    expect(roomLeft({ ...room, freeFiles: 10 })).toBe(0);
    expect(roomLeft({ ...room, freeFiles: undefined })).toBe(850);
  });

  it("is made by the trash", () => {
    const trash = { files: 2000, bytes: 100 };
    expect(roomLeft({ ...room, trash })).toBe(950);
    expect(roomLeft({ ...room, trash, freeFiles: 10 })).toBe(950);
    expect(lacking({ ...room, trash }, 850)).toEqual({ files: 0, bytes: 0 });
    expect(lacking({ ...room, trash, freeFiles: 1000 }, 900)).toEqual({ files: 24, bytes: 50 });
  });

  it("is too little when the largest chunk does not fit", () => {
    const roomy = { ...room, freeBytes: 10_000_000 };
    expect(whyReadOnly(roomy)).toBe("");
    expect(whyReadOnly({ ...roomy, promisedBytes: 2_000_000 })).toMatch("left above the reserve");
    expect(whyReadOnly({ ...roomy, freeFiles: 10 })).toMatch("10 more files");
  });
});

describe("a bin", () => {
  it("knows when it got a chunk, and nothing of what is not its own", () => {
    expect(binnedAt(binName(hash, 1000))).toBe(1000);
    expect(binnedAt("lost+found")).toBeUndefined();
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
