import { join } from "node:path";
import { FolderSet } from "../../../services/disk/files/folder-set.ts";

const ROOT = "/disk/chunks";
const BYTES = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const FOLDERS = [
  ROOT,
  ...BYTES.map((first) => join(ROOT, first)),
  ...BYTES.flatMap((first) => BYTES.map((second) => join(ROOT, first, second))),
];

it("holds each folder of a disk for itself", () => {
  const set = new FolderSet(ROOT);
  const before = FOLDERS.filter((folder, turn) => {
    const known = set.has(folder);
    if (turn % 2 === 0) set.add(folder);
    return known;
  });
  expect(before).toEqual([]);
  expect(FOLDERS.filter((folder) => set.has(folder))).toEqual(FOLDERS.filter((_, turn) => turn % 2 === 0));
});

it("lets go of a folder alone", () => {
  const set = new FolderSet(ROOT);
  for (const folder of FOLDERS) set.add(folder);
  set.delete(join(ROOT, "00"));
  expect(FOLDERS.filter((folder) => !set.has(folder))).toEqual([join(ROOT, "00")]);
});
