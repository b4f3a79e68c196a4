/**
 * Uploads as life treats them: requests that are cut, offsets that are wrong, two requests at once, and a server, and disks, that are killed again and again.
 * `npm run test:uploads` does it with 200; SEED=… makes the choices of a run again.
 */
import { createHash, randomBytes, randomInt } from "node:crypto";
import { request, type IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import { ServiceBroker } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import { secretFile } from "../../deploy/local/secret.ts";
import { startPostgres } from "../../deploy/local/postgres.ts";
import { closeDatabase, openDatabase } from "../../mixins/database/connection.ts";
import { one, rows } from "../../mixins/database/sql.ts";
import blobsService from "../../services/blobs/blobs.service.ts";
import { call } from "../../services/kernel/rpc.ts";
import { randomFrom, type Random } from "../../services/ring/domain/random.ts";
import ringService from "../../services/ring/ring.service.ts";
import { storage } from "../../services/storage/contract.ts";
import storageService from "../../services/storage/storage.service.ts";
import { eventually } from "../support/eventually.ts";
import { metadata, OCTETS, UPLOADS } from "../support/tus.ts";
import { childrenOf, removeFolder, startTritonTube, temporaryFolder, type TritonTube } from "../support/tritontube.ts";

const COUNT = Number(process.env["UPLOADS"] ?? 12);
const SEED = process.env["SEED"] ?? String(randomInt(1_000_000_000));
/** Clients at the same time. */
const CLIENTS = 6;
/** So many requests are answered between one kill of everything and the next, and between those of one disk. */
const REQUESTS_PER_KILL = 100 + COUNT;
const REQUESTS_PER_DISK_KILL = 45;
/** A server that was killed recovers its database first, and what it was killed with five times has a lease of 48 s and a pause of up to a minute. */
const PATIENCE_MS = 180_000;

const counts = {
  requests: 0,
  cut: 0,
  wrongOffsets: 0,
  parallel: 0,
  wrongChecksums: 0,
  kills: 0,
  diskKills: 0,
  lostAnswers: 0,
  leftOpen: 0,
};

/** What is uploaded: made of a number, so that nobody has to keep 200 files. */
class Client {
  readonly #random: Random;
  readonly #server: Server;
  readonly bytes: Buffer;
  /** Some are left in the middle: they have to wait for somebody who goes on. */
  readonly #stopAt: number;
  address = "";
  acknowledged = 0;

  constructor(server: Server, number: number) {
    this.#server = server;
    this.#random = randomFrom(`${SEED} ${number}`);
    const size = Math.ceil(2 ** (10 + this.#random() * 14.3));
    this.bytes = createHash("shake256", { outputLength: size }).update(`${SEED} ${number}`).digest();
    this.#stopAt = this.#random() < 0.1 ? Math.floor(size * this.#random()) : Infinity;
  }

  get id(): string {
    return this.address.split("/").at(-1) ?? "";
  }

  async run(): Promise<void> {
    await this.#create();
    while (this.acknowledged < this.bytes.length && this.acknowledged < this.#stopAt) await this.#step();
    if (this.acknowledged < this.bytes.length) counts.leftOpen += 1;
  }

  /** Goes on without further mischief. */
  async finish(): Promise<void> {
    await this.#look();
    while (this.acknowledged < this.bytes.length) await this.#patch({ length: Infinity });
  }

  async #create(): Promise<void> {
    const headers = { "Upload-Length": String(this.bytes.length), "Upload-Metadata": metadata({ filename: "film.mp4" }) };
    const made = await eventually(async () => (await this.#server.ask("POST", UPLOADS, headers)).headers.location, {
      timeoutMs: PATIENCE_MS,
    });
    this.address = made;
  }

  async #step(): Promise<void> {
    const left = this.bytes.length - this.acknowledged;
    const length = this.#random() < 0.3 ? Infinity : Math.ceil(left * this.#random());
    const choice = this.#random();
    if (choice < 0.3) await this.#patch({ length, cutAfter: Math.floor(Math.min(length, left) * this.#random()) });
    else if (choice < 0.45) await this.#wrongOffset();
    else if (choice < 0.55) await this.#parallel(length);
    else if (choice < 0.65) await this.#wrongChecksum();
    else await this.#patch({ length });
  }

  /** What the server says is the truth, and never less than it said before. */
  async #look(): Promise<void> {
    const { headers } = await eventually(
      async () => {
        const head = await this.#server.ask("HEAD", this.address);
        return head.status === 200 ? head : undefined;
      },
      { timeoutMs: PATIENCE_MS, what: `an answer about ${this.address}` },
    );
    const offset = Number(headers["upload-offset"]);
    if (offset < this.acknowledged) throw new Error(`${this.address} had ${this.acknowledged} bytes and has ${offset} (seed ${SEED})`);
    this.acknowledged = offset;
  }

  async #patch({ length, cutAfter }: { length: number; cutAfter?: number }): Promise<void> {
    const body = this.bytes.subarray(this.acknowledged, this.acknowledged + length);
    const { status, headers } = await this.#server.ask("PATCH", this.address, this.#sending(this.acknowledged), { body, cutAfter });
    if (status === 204) this.acknowledged = Number(headers["upload-offset"]);
    else if (cutAfter === undefined) this.#expect(status, [409, 423, 503]);
    if (cutAfter !== undefined) counts.cut += 1;
    if (status !== 204) await this.#look();
  }

  async #wrongOffset(): Promise<void> {
    const offset = Math.floor(this.bytes.length * this.#random());
    if (offset === this.acknowledged) return;
    counts.wrongOffsets += 1;
    const body = this.bytes.subarray(offset, offset + 1000);
    const { status } = await this.#server.ask("PATCH", this.address, this.#sending(offset), { body });
    // Before a cut request has told all it has, its offset may have become the right one.
    if (status === 204) await this.#look();
    else this.#expect(status, [409, 423, 503]);
  }

  async #parallel(length: number): Promise<void> {
    counts.parallel += 1;
    const body = this.bytes.subarray(this.acknowledged, this.acknowledged + length);
    const once = () => this.#server.ask("PATCH", this.address, this.#sending(this.acknowledged), { body });
    const statuses = (await Promise.all([once(), once()])).map(({ status }) => status);
    if (statuses.every((status) => status === 204)) throw new Error(`two requests for the same bytes were taken (seed ${SEED})`);
    for (const status of statuses) this.#expect(status, [204, 409, 423, 503]);
    await this.#look();
  }

  async #wrongChecksum(): Promise<void> {
    counts.wrongChecksums += 1;
    const body = this.bytes.subarray(this.acknowledged);
    const checksum = { "Upload-Checksum": `sha256 ${randomBytes(32).toString("base64")}` };
    const { status } = await this.#server.ask("PATCH", this.address, { ...this.#sending(this.acknowledged), ...checksum }, { body });
    this.#expect(status, [409, 423, 460, 503]);
    const before = this.acknowledged;
    await this.#look();
    if (status === 460 && this.acknowledged !== before) throw new Error(`bytes of another checksum were kept (seed ${SEED})`);
  }

  #sending(offset: number): Record<string, string> {
    return { "Content-Type": OCTETS, "Upload-Offset": String(offset) };
  }

  /** 0 is no answer at all. */
  #expect(status: number, statuses: readonly number[]): void {
    if (status !== 0 && !statuses.includes(status)) throw new Error(`${this.address} answered ${status} (seed ${SEED})`);
  }
}

interface Told {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

/** TritonTube, which is killed after so many requests. */
class Server {
  #tube: TritonTube;
  #restarting: Promise<void> | undefined;

  constructor(tube: TritonTube) {
    this.#tube = tube;
  }

  get tube(): TritonTube {
    return this.#tube;
  }

  async ask(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    sent: { body?: Buffer; cutAfter?: number | undefined } = {},
  ): Promise<Told> {
    await this.#restarting;
    counts.requests += 1;
    if (counts.requests % REQUESTS_PER_KILL === 0) this.#restarting = this.#restart();
    else if (counts.requests % REQUESTS_PER_DISK_KILL === 0) await this.#killDisk();
    return await send(`${this.#tube.url}${path}`, { method, headers: { "Tus-Resumable": "1.0.0", ...headers }, ...sent });
  }

  async settled(): Promise<void> {
    await this.#restarting;
  }

  async #restart(): Promise<void> {
    counts.kills += 1;
    const { dataDir, url } = this.#tube;
    await this.#tube.kill();
    this.#tube = await startTritonTube({ dataDir, env: { PORT: new URL(url).port, EMBEDDED_DISKS: "3" } });
  }

  /** The launcher starts it again. */
  async #killDisk(): Promise<void> {
    const [disk] = (await childrenOf(this.#tube.pid)).filter(({ command }) => command.includes("disk/main.ts"));
    if (!disk) return;
    counts.diskKills += 1;
    process.kill(disk.pid, "SIGKILL");
  }
}

/** One request, perhaps cut off after so many bytes. Status 0 when no answer came. */
async function send(
  url: string,
  { method, headers, body, cutAfter }: { method: string; headers: Record<string, string>; body?: Buffer; cutAfter?: number | undefined },
): Promise<Told> {
  return await new Promise((resolve) => {
    const nothing = (): void => {
      counts.lostAnswers += 1;
      resolve({ status: 0, headers: {} });
    };
    const asked = request(url, { method, agent: false, headers: { ...headers, "Content-Length": String(body?.length ?? 0) } }, (answer) => {
      answer.resume().once("error", nothing);
      answer.once("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers }));
    });
    asked.once("error", nothing);
    if (cutAfter === undefined) asked.end(body);
    else asked.write(body?.subarray(0, cutAfter) ?? "", () => asked.destroy());
  });
}

/** Reads what TritonTube has stored as a process of its own would: from its database and its disks. */
class Auditor {
  readonly #broker: ServiceBroker;
  readonly #url: string;

  private constructor(broker: ServiceBroker, url: string) {
    this.#broker = broker;
    this.#url = url;
  }

  static async open(dataDir: string): Promise<Auditor> {
    const { url } = await startPostgres({ dataDir, log: () => {} });
    const disks = await rows<{ address: string }>(openDatabase(url, { connectionsMax: 4 }), "select address from disks");
    loadConfig({
      DATABASE_URL: url,
      DISKS: disks.map(({ address }) => address).join(","),
      DISK_SECRET: await secretFile(`${dataDir}/secrets/disk`),
    });
    const broker = new ServiceBroker({ logger: false, skipProcessEventRegistration: true });
    for (const service of [ringService, blobsService, storageService]) broker.createService(service as never);
    await broker.start();
    return new Auditor(broker, url);
  }

  async sha256(upload: string): Promise<string> {
    const db = openDatabase(this.#url, { connectionsMax: 4 });
    const source = await eventually(
      async () =>
        (
          await one<{ blob: string | null }>(
            db,
            "select encode(source_blob, 'hex') as blob from videos join uploads on uploads.video_id = videos.id where uploads.id = $1",
            [upload],
          )
        )?.blob,
      { timeoutMs: PATIENCE_MS, what: `the source of ${upload}` },
    ).catch(async (error: unknown) => {
      throw new Error(`seed ${SEED}: ${JSON.stringify(await this.#known(upload))}`, { cause: error });
    });
    const hash = createHash("sha256");
    const content: Readable = await call(this.#broker, storage.read, { blob: source });
    for await (const piece of content as AsyncIterable<Buffer>) hash.update(piece);
    return hash.digest("hex");
  }

  /** What the database says of an upload, for whoever has to find out why it did not come to its end. */
  async #known(upload: string): Promise<unknown> {
    const db = openDatabase(this.#url, { connectionsMax: 4 });
    const of = async (query: string): Promise<unknown> => await rows(db, query, [upload]);
    return {
      uploads: await of("select * from uploads where id = $1"),
      videos: await of("select videos.* from videos join uploads on uploads.video_id = videos.id where uploads.id = $1"),
      jobs: await of("select *, now() as asked from jobs where payload ->> 'upload' = $1"),
    };
  }

  async close(): Promise<void> {
    await this.#broker.stop();
    await closeDatabase();
  }
}

it(`${COUNT} uploads through cuts, wrong offsets, parallel requests and kills: each is whole, or can be resumed`, async () => {
  const dataDir = await temporaryFolder("tritontube-uploads-");
  const server = new Server(await startTritonTube({ dataDir, env: { EMBEDDED_DISKS: "3" } }));
  try {
    const clients = Array.from({ length: COUNT }, (_, number) => new Client(server, number));
    const waiting = [...clients];
    const work = async (): Promise<void> => {
      for (let client = waiting.pop(); client; client = waiting.pop()) await client.run();
    };
    await Promise.all(Array.from({ length: CLIENTS }, work));
    await server.settled();
    const complete = clients.filter((client) => client.acknowledged === client.bytes.length).length;
    for (const client of clients) await client.finish();
    await server.settled();
    const auditor = await Auditor.open(dataDir);
    try {
      for (const client of clients) expect(await auditor.sha256(client.id)).toBe(createHash("sha256").update(client.bytes).digest("hex"));
    } finally {
      await auditor.close();
    }
    const bytes = clients.reduce((sum, client) => sum + client.bytes.length, 0);
    process.stdout.write(`seed ${SEED}: ${JSON.stringify({ uploads: COUNT, bytes, complete, resumed: COUNT - complete, ...counts })}\n`);
  } finally {
    await server.tube.stop();
    await removeFolder(dataDir);
  }
}, 900_000);
