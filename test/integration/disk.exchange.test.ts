/** Many small requests over one call: to a real disk as its protocol has it, and by the client to disks that do as they like. */
import { appendFile } from "node:fs/promises";
import { credentials, Metadata, Server, ServerCredentials, type ServerDuplexStream, type ServiceError, status } from "@grpc/grpc-js";
import { DiskClient } from "../../mixins/disks/client.ts";
import { DiskConnection, diskService } from "../../proto/disk.ts";
import type { DiskServiceServer, ExchangeRequest, ExchangeResponse } from "../../proto/gen/tritontube/disk/v1/disk.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { MESSAGE_BYTES } from "../../services/kernel/limits.ts";
import { chunkFile, flipByte, randomChunk, startDisks, stopScrub, type TestDisk, type TestDisks } from "../support/disks.ts";
import { eventually } from "../support/eventually.ts";

type Chunk = ReturnType<typeof randomChunk>;
const NOTHING = Buffer.alloc(0);
const typeOf = async (attempt: Promise<unknown>): Promise<string | undefined> => errorType(await attempt.catch((error: unknown) => error));
const sha256 = ({ hash }: Chunk): Buffer => Buffer.from(hash, "hex");
const putOf = (chunk: Chunk, size = chunk.bytes.length): ExchangeRequest["asked"] => ({
  $case: "put",
  value: { sha256: sha256(chunk), size, epoch: 1 },
});
const getOf = (chunk: Chunk, offset = 0, length = 0): ExchangeRequest["asked"] => ({
  $case: "get",
  value: { sha256: sha256(chunk), offset, length },
});

/** By number, what each was answered with. */
const refusalsOf = (answers: ReadonlyMap<number, ExchangeResponse>) =>
  [...answers.values()]
    .toSorted((a, b) => a.number - b.number)
    .map(({ answer }) => (answer?.$case === "failure" ? answer.value.type : answer?.$case));

describe("an exchange with a disk", () => {
  let started: TestDisks;
  let disk: TestDisk;
  let connection: InstanceType<typeof DiskConnection>;
  let metadata: Metadata;
  beforeAll(async () => {
    started = await startDisks(1);
    disk = started.disks[0]!;
    await stopScrub(disk, started.secret);
    connection = new DiskConnection(disk.address, credentials.createInsecure());
    metadata = new Metadata();
    metadata.set("authorization", `Bearer ${started.secret}`);
  });
  afterAll(async () => {
    connection.close();
    await started.stop();
  });

  /** Sends these, numbered from 1, half-closes, and answers what came, by number, and how it ended. */
  async function exchanged(...requests: readonly (readonly [ExchangeRequest["asked"], Buffer])[]) {
    const call = connection.exchange(metadata);
    const answers = new Map<number, ExchangeResponse>();
    const { promise: ended, resolve } = Promise.withResolvers<number>();
    call.on("data", (answer: ExchangeResponse) => answers.set(answer.number, answer));
    call.on("error", ({ code }: ServiceError) => resolve(code));
    call.on("end", () => resolve(status.OK));
    for (const [index, [asked, data]] of requests.entries()) call.write({ number: index + 1, asked, data, traceparent: "" });
    call.end();
    return { code: await ended, answers };
  }

  it("stores and gives back, answers each under its number, and ends when all is answered", async () => {
    const chunks = [1, 1000, 65_536, 65_537, 100_000, MESSAGE_BYTES].map(randomChunk);
    const stored = await exchanged(...chunks.map((chunk) => [putOf(chunk), chunk.bytes] as const));
    expect([stored.code, refusalsOf(stored.answers)]).toEqual([status.OK, chunks.map(() => "stored")]);
    const again = await exchanged(...chunks.map((chunk) => [putOf(chunk), chunk.bytes] as const));
    expect([...again.answers.values()].map(({ answer }) => answer)).toEqual(
      chunks.map(() => ({ $case: "stored", value: { existed: true } })),
    );
    const read = await exchanged(...chunks.map((chunk) => [getOf(chunk), NOTHING] as const));
    for (const [index, { bytes }] of chunks.entries()) {
      const { answer, data } = read.answers.get(index + 1)!;
      expect(answer).toEqual({ $case: "read", value: { size: bytes.length, sums: [] } });
      expect(data.equals(bytes)).toBe(true);
    }
    const [, , , , large] = chunks;
    const part = (await exchanged([getOf(large!, 70_000, 20_000), NOTHING])).answers.get(1)!;
    expect(part.data.equals(large!.bytes.subarray(70_000, 90_000))).toBe(true);
    expect(part.answer).toMatchObject({ $case: "read", value: { size: 100_000, sums: [expect.any(Number)] } });
  });

  it("refuses what a call of its own would refuse, each alone, and goes on", async () => {
    const [good, other, absent, long] = [randomChunk(100), randomChunk(100), randomChunk(100), randomChunk(MESSAGE_BYTES + 1)];
    const client = new DiskClient({ address: disk.address, secret: started.secret });
    await client.putChunk({ ...long, epoch: 1 });
    client.close();
    const { code, answers } = await exchanged(
      [undefined, NOTHING],
      [putOf(good), other.bytes],
      [putOf(good, 101), good.bytes],
      [putOf(good, 99), good.bytes],
      [putOf(long), long.bytes],
      [{ $case: "put", value: { sha256: Buffer.from("short"), size: 1, epoch: 1 } }, Buffer.from("x")],
      [getOf(absent), NOTHING],
      [getOf(long), NOTHING],
      [{ $case: "get", value: { sha256: NOTHING, offset: 0, length: 0 } }, NOTHING],
      [putOf(good), good.bytes],
    );
    expect([code, refusalsOf(answers)]).toEqual([
      status.OK,
      [
        "INVALID_REQUEST",
        "CHUNK_CORRUPT",
        "LENGTH_MISMATCH",
        "LENGTH_MISMATCH",
        "INVALID_REQUEST",
        "INVALID_REQUEST",
        "CHUNK_NOT_FOUND",
        "read",
        "INVALID_REQUEST",
        "stored",
      ],
    ]);
    // What does not fit is not there: GetChunk gives it.
    expect(answers.get(8)?.data).toHaveLength(0);
    const read = await exchanged([getOf(good), NOTHING], [getOf(good, 100, 1), NOTHING], [getOf(good, 50, 51), NOTHING]);
    expect(refusalsOf(read.answers)).toEqual(["read", "RANGE_NOT_SATISFIABLE", "RANGE_NOT_SATISFIABLE"]);
  });

  it("takes more than it works on at once, one after the other", async () => {
    const chunks = Array.from({ length: 200 }, () => randomChunk(500));
    const { code, answers } = await exchanged(...chunks.map((chunk) => [putOf(chunk), chunk.bytes] as const));
    expect([code, new Set(refusalsOf(answers)), answers.size]).toEqual([status.OK, new Set(["stored"]), 200]);
  });

  it("leaves a file that has grown to the way that finds out what it is", async () => {
    const client = new DiskClient({ address: disk.address, secret: started.secret });
    const chunk = randomChunk(1000);
    const range = { hash: chunk.hash, size: 1000 };
    await client.putChunk({ ...chunk, epoch: 1 });
    await appendFile(chunkFile(disk, chunk.hash), Buffer.alloc(300_000));
    expect(await typeOf(client.getChunk(range))).toBe("CHUNK_CORRUPT");
    expect(await typeOf(client.getChunk(range))).toBe("CHUNK_NOT_FOUND");
    client.close();
  });

  it("gives nothing that has changed on the medium, and takes it out of service", async () => {
    const [whole, part] = [randomChunk(1000), randomChunk(1000)];
    await exchanged([putOf(whole), whole.bytes], [putOf(part), part.bytes]);
    await flipByte(chunkFile(disk, whole.hash), 500);
    await flipByte(chunkFile(disk, part.hash), 500);
    const bad = await exchanged([getOf(whole), NOTHING], [getOf(part, 0, 10), NOTHING]);
    expect(refusalsOf(bad.answers)).toEqual(["CHUNK_CORRUPT", "CHUNK_CORRUPT"]);
    const gone = await exchanged([getOf(whole), NOTHING], [getOf(part, 0, 10), NOTHING]);
    expect(refusalsOf(gone.answers)).toEqual(["CHUNK_NOT_FOUND", "CHUNK_NOT_FOUND"]);
  });

  it("is for who has the secret, and means this disk", async () => {
    const chunk = randomChunk(10);
    const stranger = new DiskClient({ address: disk.address, secret: "another secret, as long as it has to be" });
    const mistaken = new DiskClient({ address: disk.address, secret: started.secret, meant: crypto.randomUUID() });
    expect(await typeOf(stranger.putChunk({ ...chunk, epoch: 1 }))).toBe("DISK_UNAUTHENTICATED");
    expect(await typeOf(mistaken.putChunk({ ...chunk, epoch: 1 }))).toBe("DISK_MISTAKEN");
    stranger.close();
    mistaken.close();
  });

  it("is ended by a disk that stops, and not cut off; who asks then is told that nobody is there, until somebody is", async () => {
    const client = new DiskClient({ address: disk.address, secret: started.secret });
    const chunk = randomChunk(1000);
    const range = { hash: chunk.hash, size: 1000 };
    await client.putChunk({ ...chunk, epoch: 1 });
    const idle = connection.exchange(metadata);
    idle.write({ number: 1, asked: getOf(chunk), data: NOTHING, traceparent: "" });
    const { promise: ended, resolve } = Promise.withResolvers<number>();
    idle.on("data", () => void disk.kill("SIGTERM"));
    idle.on("error", ({ code }: ServiceError) => resolve(code));
    idle.on("end", () => resolve(status.OK));
    expect([await ended, await disk.ended]).toEqual([status.OK, 0]);
    expect(await typeOf(client.getChunk(range))).toBe("DISK_UNAVAILABLE");
    await disk.restart();
    const bytes = await eventually(() => client.getChunk(range), { what: "the disk to be there again" });
    expect(bytes.equals(chunk.bytes)).toBe(true);
    client.close();
  });
});

describe("a client", () => {
  type Peer = ServerDuplexStream<ExchangeRequest, ExchangeResponse>;
  let server: Server;
  let client: DiskClient;
  let calls: Peer[] = [];
  let ownCalls = 0;
  let unspoken = false;
  const asked: { readonly call: Peer; readonly request: ExchangeRequest }[] = [];
  const chunk = randomChunk(1000);
  const range = { hash: chunk.hash, size: 1000 };

  const answer = ({ call, request: { number } }: (typeof asked)[number], bytes = chunk.bytes): void =>
    void call.write({ number, answer: { $case: "read", value: { size: bytes.length, sums: [] } }, data: bytes });
  const untilAsked = async (count: number) =>
    await eventually(() => (asked.length === count ? asked : undefined), { what: "the requests" });

  beforeEach(async () => {
    calls = [];
    ownCalls = 0;
    unspoken = false;
    asked.length = 0;
    server = new Server();
    const { exchange, getChunk } = diskService;
    server.addService({ exchange, getChunk }, {
      exchange(call: Peer) {
        calls.push(call);
        if (unspoken) call.emit("error", { code: status.UNIMPLEMENTED });
        call.on("data", (request: ExchangeRequest) => asked.push({ call, request }));
        call.on("end", () => call.end());
      },
      getChunk(call) {
        ownCalls += 1;
        call.write({ part: { $case: "header", value: { size: 1000, sums: [] } } });
        call.write({ part: { $case: "data", value: chunk.bytes } });
        call.end();
      },
    } satisfies Pick<DiskServiceServer, "exchange" | "getChunk">);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => (error ? reject(error) : resolve(port)));
    client = new DiskClient({ address: `127.0.0.1:${await promise}`, secret: "a secret" });
  });
  afterEach(() => {
    client.close();
    server.forceShutdown();
  });

  it("asks much over one call, and takes the answers in whatever order they come", async () => {
    const reads = Array.from({ length: 20 }, () => client.getChunk(range));
    for (const one of (await untilAsked(20)).toReversed()) answer(one);
    for (const bytes of await Promise.all(reads)) expect(bytes.equals(chunk.bytes)).toBe(true);
    expect([calls.length, ownCalls]).toEqual([1, 0]);
  });

  it("makes a call of its own for what is more than a disk works on at once, and for what is large, or may be", async () => {
    const reads = Array.from({ length: 65 }, () => client.getChunk(range));
    await untilAsked(64);
    await eventually(() => ownCalls === 1);
    for (const one of asked) answer(one);
    await Promise.all(reads);
    await client.getChunk({ hash: chunk.hash });
    await typeOf(client.getChunk({ hash: chunk.hash, size: MESSAGE_BYTES + 1 }));
    expect([calls.length, ownCalls, asked.length]).toEqual([1, 3, 64]);
  });

  it("takes no bytes but those of the name, and no answer to what it did not ask", async () => {
    const reading = typeOf(client.getChunk(range));
    const [one] = await untilAsked(1);
    answer({ ...one!, request: { ...one!.request, number: 7 } });
    answer(one!, randomChunk(1000).bytes);
    expect(await reading).toBe("CHUNK_CORRUPT");
  });

  it("fails all that was asked when the call breaks, or ends, and opens another", async () => {
    for (const end of [
      (call: Peer) => void call.emit("error", { code: status.INTERNAL, details: "It broke." }),
      (call: Peer) => void call.end(),
    ]) {
      asked.length = 0;
      const reads = [client.getChunk(range), client.getChunk(range)].map(typeOf);
      const [{ call } = { call: undefined }] = await untilAsked(2);
      end(call!);
      expect(await Promise.all(reads)).toEqual(["DISK_UNAVAILABLE", "DISK_UNAVAILABLE"]);
    }
    asked.length = 0;
    const reading = client.getChunk(range);
    answer((await untilAsked(1))[0]!);
    expect((await reading).equals(chunk.bytes)).toBe(true);
    expect(calls).toHaveLength(3);
  });

  it("gives up one request by its signal, and goes on with the others", async () => {
    const leaving = new AbortController();
    const left = client.getChunk(range, leaving.signal).catch((error: unknown) => error);
    const stays = client.getChunk(range);
    await untilAsked(2);
    leaving.abort(new Error("enough"));
    expect(await left).toEqual(new Error("enough"));
    for (const one of asked) answer(one);
    expect((await stays).equals(chunk.bytes)).toBe(true);
    expect(calls).toHaveLength(1);
    expect(await client.getChunk(range, leaving.signal).catch((error: unknown) => error)).toEqual(new Error("enough"));
  });

  it("leaves a call at which nobody waits any more, and whose disk may still be busy with what was given up", async () => {
    const leaving = new AbortController();
    const left = [1, 2, 3].map(() => client.getChunk(range, leaving.signal).catch((error: unknown) => error));
    await untilAsked(3);
    leaving.abort(new Error("enough"));
    await Promise.all(left);
    await eventually(() => calls[0]?.cancelled, { what: "the end of the call" });
    const reading = client.getChunk(range);
    answer((await untilAsked(4))[3]!);
    expect((await reading).equals(chunk.bytes)).toBe(true);
    expect([calls.length, ownCalls]).toEqual([2, 0]);
  });

  it("asks elsewhere while much is given up, and waits there for what is not", async () => {
    const leaving = new AbortController();
    const stays = client.getChunk(range);
    const left = Array.from({ length: 9 }, () => client.getChunk(range, leaving.signal).catch((error: unknown) => error));
    await untilAsked(10);
    leaving.abort(new Error("enough"));
    await Promise.all(left);
    const next = client.getChunk(range);
    answer((await untilAsked(11))[10]!);
    expect((await next).equals(chunk.bytes)).toBe(true);
    expect([calls.length, calls[0]?.cancelled]).toEqual([2, false]);
    answer(asked[0]!);
    expect((await stays).equals(chunk.bytes)).toBe(true);
    await eventually(() => calls[0]?.cancelled, { what: "the end of the call" });
  });

  it("does not wait for a disk that says nothing, and asks it by another call", async () => {
    expect(await typeOf(client.getChunk(range))).toBe("DISK_UNAVAILABLE");
    const reading = client.getChunk(range);
    answer((await untilAsked(2))[1]!);
    await reading;
    expect(calls.map(({ cancelled }) => cancelled)).toEqual([true, false]);
  });

  it("fails alone with what cannot be encoded, and with what it knows when it was closed", async () => {
    const good = client.getChunk(range);
    await expect(client.getChunk({ hash: chunk.hash, offset: 1.5, length: 10 })).rejects.toThrow("1.5");
    answer((await untilAsked(1))[0]!);
    expect((await good).equals(chunk.bytes)).toBe(true);
    client.close();
    await eventually(() => calls[0]?.destroyed);
    expect(await typeOf(client.getChunk(range))).toBe("DISK_UNAVAILABLE");
  });

  it("asks a disk of a former version by calls of their own, and looks for the other way once", async () => {
    unspoken = true;
    for (let n = 1; n <= 3; n++) {
      expect((await client.getChunk(range)).equals(chunk.bytes)).toBe(true);
      expect([ownCalls, calls.length]).toEqual([n, 1]);
    }
  });

  it("ends a call that it has not needed for some seconds, and opens another when it does", async () => {
    const first = client.getChunk(range);
    answer((await untilAsked(1))[0]!);
    await first;
    await eventually(() => calls[0]?.writableFinished, { what: "the end of the call", timeoutMs: 20_000 });
    const second = client.getChunk(range);
    answer((await untilAsked(2))[1]!);
    await second;
    expect(calls).toHaveLength(2);
  });
});
