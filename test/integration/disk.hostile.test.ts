/** Names that climb, sent to a disk as its protocol sends them, by who has the secret: nothing but 32 bytes becomes a path. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { credentials, Metadata, status } from "@grpc/grpc-js";
import { DiskConnection, diskService } from "../../proto/disk.ts";
import { eventually } from "../support/eventually.ts";
import { filesIn, startDisks, type TestDisk, type TestDisks } from "../support/disks.ts";

/** What a path would have to be to leave the folder, or to end early; as names of chunks, and as the UUID of a disk. */
const CLIMBING = [
  "../../secret",
  "../".repeat(8) + "etc/passwd",
  "..\\..\\secret",
  "%2e%2e%2fsecret",
  "/etc/passwd",
  "/" + "a".repeat(31),
  "../" + "a".repeat(29),
  "..".padEnd(32, "/"),
  "\0".repeat(32),
  "a\0b",
  "",
  "0".repeat(64),
  "é".repeat(32),
  "x".repeat(100_000),
];
/** 32 bytes are a name, whatever they spell; there is no such chunk. */
const NAMES = new Set(CLIMBING.filter((text) => Buffer.byteLength(text) === 32));

let started: TestDisks;
let disk: TestDisk;
let connection: InstanceType<typeof DiskConnection>;
let metadata: Metadata;

beforeAll(async () => {
  started = await startDisks(1);
  disk = started.disks[0]!;
  await writeFile(join(disk.dir, "..", "secret"), "hidden words");
  connection = new DiskConnection(disk.address, credentials.createInsecure());
  metadata = new Metadata();
  metadata.set("authorization", `Bearer ${started.secret}`);
  // The first scrub ends by itself, and is the only other one who writes.
  await eventually(async () => /"running":false/.test(await readFile(join(disk.dir, "scrub.json"), "utf8")), {
    what: "the end of the scrub",
  });
});
afterAll(async () => {
  connection.close();
  await started.stop();
});

const raw = (bytes: Buffer): Buffer => bytes;

/** What a disk answers, its code and its bytes, to these bytes of a message. */
async function answer(path: string, message: Buffer, with_: Metadata = metadata): Promise<{ code: number; said: string }> {
  const stream = connection.makeBidiStreamRequest(path, raw, raw, with_, { deadline: Date.now() + 20_000 });
  const parts: Buffer[] = [];
  stream.on("data", (part: Buffer) => parts.push(part));
  const { promise, resolve } = Promise.withResolvers<number>();
  stream.on("error", ({ code }: Error & { code?: number }) => resolve(code ?? -1));
  stream.on("end", () => resolve(status.OK));
  stream.end(message);
  return { code: await promise, said: Buffer.concat(parts).toString("latin1") };
}

/** Field 1 of a message, as bytes (protobuf encoding). */
function bytesField(content: Buffer, number = 1): Buffer {
  const length: number[] = [];
  for (let rest = content.length; ; rest = Math.floor(rest / 128)) {
    length.push(rest >= 128 ? (rest % 128) + 128 : rest);
    if (rest < 128) break;
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), content]);
}

const named = { get: diskService.getChunk.path, stat: diskService.statChunk.path, delete: diskService.deleteChunk.path };

describe.each(CLIMBING.map((text) => [JSON.stringify(text).slice(0, 40), text] as const))("the name %s", (_, text) => {
  it.each(Object.entries(named))("leads %s nowhere", async (_name, path) => {
    const { code, said } = await answer(path, bytesField(Buffer.from(text)));
    expect(NAMES.has(text) ? [status.OK, status.NOT_FOUND, status.INVALID_ARGUMENT] : [status.INVALID_ARGUMENT]).toContain(code);
    expect(said).not.toMatch(/hidden words|root:/);
  });

  it("is written nowhere", async () => {
    const before = await readdir(join(disk.dir, ".."), { recursive: true });
    // PutChunkRequest {header: {sha256}}, of which the size is missing as well.
    const { code } = await answer(diskService.putChunk.path, bytesField(bytesField(Buffer.from(text))));
    expect([status.INVALID_ARGUMENT, status.ABORTED]).toContain(code);
    expect((await readdir(join(disk.dir, ".."), { recursive: true })).filter((path) => !before.includes(path))).toEqual([]);
    expect(await filesIn(disk, "chunks")).toEqual([]);
  });

  it("is the name of no disk", async () => {
    const meant = metadata.clone();
    try {
      meant.set("disk-id", text);
    } catch {
      // What cannot stand in a header is never sent.
      return;
    }
    const { code } = await answer(diskService.getDisk.path, Buffer.alloc(0), meant);
    expect(code).not.toBe(status.OK);
  });
});

it.each([
  "/tritontube.disk.v1.DiskService/../../etc/passwd",
  "/tritontube.disk.v1.DiskService/GetChunk/",
  "/tritontube.disk.v1.DiskService/getchunk",
  "/tritontube.disk.v1.DiskService/__proto__",
  "/tritontube.disk.v1.DiskService/constructor",
  "/grpc.reflection.v1.ServerReflection/../DiskService",
  "/",
])("there is no method at %s", async (path) => {
  expect((await answer(path, Buffer.alloc(0))).code).toBe(status.UNIMPLEMENTED);
});

it.each([
  ["no message at all", Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
  ["a length beyond the end", Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1])],
  ["nothing but depth", Buffer.alloc(100_000, 0x0b)],
])("a message that is %s ends its own call, and the disk goes on", async (_, message) => {
  for (const path of Object.values(named)) expect((await answer(path, message)).code).not.toBe(status.OK);
  expect((await answer(diskService.getDisk.path, Buffer.alloc(0))).code).toBe(status.OK);
});

it("tells by reflection of no file, whatever it is called", async () => {
  for (const text of CLIMBING) {
    // ServerReflectionRequest {file_by_filename}.
    const { said } = await answer("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", bytesField(Buffer.from(text), 3));
    expect(said).not.toMatch(/hidden words|root:/);
  }
});
