import { Admission } from "../../../services/disk/files/admission.ts";
import { Bin } from "../../../services/disk/files/bin.ts";
import type { DiskFolder } from "../../../services/disk/files/folder.ts";
import type { Files } from "../../../services/disk/files/port.ts";
import { CHUNK_BYTES_MAX } from "../../../services/kernel/limits.ts";

/** A filesystem with room for so many of the largest chunks, which says so at a time that stands still. */
async function admissionTo(chunks: number) {
  const medium = { looks: 0, chunks };
  const files = {
    now: () => 0,
    readdir: async () => [],
    async statfs() {
      medium.looks += 1;
      return { blocks: 1e6, bsize: CHUNK_BYTES_MAX, bavail: medium.chunks, files: 0, ffree: 0 };
    },
  } as Partial<Files> as Files;
  const folder = { files, chunks: "chunks" } as DiskFolder;
  return { medium, admission: new Admission(folder, await Bin.open(files, "trash", 0), 0) };
}

describe("the room of a disk", () => {
  it("is looked at once for many chunks, where there is plenty", async () => {
    const { medium, admission } = await admissionTo(1000);
    for (let chunk = 0; chunk < 100; chunk++) await admission.promise(CHUNK_BYTES_MAX);
    expect(medium.looks).toBe(1);
  });

  it("is looked at again before it is given away, whatever has been written since the look", async () => {
    const { medium, admission } = await admissionTo(100);
    const write = async (): Promise<void> => {
      await admission.promise(CHUNK_BYTES_MAX);
      medium.chunks -= 1;
      admission.release(CHUNK_BYTES_MAX);
    };
    for (let chunk = 0; chunk < 100; chunk++) await write();
    await expect(write()).rejects.toEqual(expect.objectContaining({ type: "DISK_FULL" }));
  });
});
