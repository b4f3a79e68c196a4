/** What those outside are told of mistakes of the server: each once, with where it was made, and without anybody's words. */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { promisify } from "node:util";
import { Errors, ServiceBroker, type ServiceSchema } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import { startSentry } from "../../config/sentry.ts";
import { mistakesOfEvents } from "../../mixins/mistakes.ts";
import { repeat } from "../../mixins/repeat.ts";
import { openDatabase } from "../../mixins/database/connection.ts";
import { enqueue } from "../../mixins/database/enqueue.ts";
import { rows, transaction } from "../../mixins/database/sql.ts";
import { worker, type WithWorker } from "../../mixins/worker.mixin.ts";
import jobsService from "../../services/jobs/jobs.service.ts";
import { failure } from "../../services/kernel/errors.ts";
import { tellMistake } from "../../services/kernel/mistakes.ts";
import { startGateway, type RunningGateway } from "../support/catalogue.ts";
import { eventually } from "../support/eventually.ts";
import { ask } from "../support/http.ts";
import { testDatabase } from "../support/postgres.ts";
import { startServices } from "../support/services.ts";
import { startSentryReceiver, type SentryReceiver, type ToldMistake } from "../support/sentry.ts";

const PROGRAM = join(import.meta.dirname, "../support/mistaken.ts");

let receiver: SentryReceiver;
let gateway: RunningGateway;
let end: () => Promise<void>;
const said: string[] = [];
const restart = async (): Promise<void> => {
  await end();
  end = await startSentry(loadConfig(), { instance: "here", tell: (message) => said.push(message) });
};

beforeAll(async () => {
  receiver = await startSentryReceiver();
  gateway = await startGateway({ env: { SENTRY_DSN: receiver.dsn, ZONE: "attic" } });
  end = async () => {};
});
beforeEach(restart);
afterEach(() => {
  gateway.catalogue.failures.clear();
  receiver.answer();
});
afterAll(async () => {
  await end();
  await gateway.stop();
  await receiver.stop();
});

/** All that was told since, when the last word is through: a mistake of its own marks the end. */
async function toldBy(work: () => Promise<unknown>): Promise<readonly ToldMistake[]> {
  const known = receiver.events.length;
  await work();
  const mark = randomUUID();
  tellMistake(new Error("the mark"), { service: "mark", requestId: mark });
  const since = (): readonly ToldMistake[] => receiver.events.slice(known);
  await eventually(() => since().some(({ tags }) => tags["request_id"] === mark), { what: "the mark" });
  return since().filter(({ tags }) => tags["service"] !== "mark");
}

const SECRETS = {
  query: "sesame-signature",
  bearer: "sesame-bearer",
  cookie: "sesame-cookie",
  title: "Sesame Street (uncut)",
  file: "holiday-of-ann.mp4",
  parameter: "ann@example.org",
  path: "/srv/ann/secret",
};

function askWithSecrets(id: string): ReturnType<typeof ask> {
  return ask(gateway.url, `/api/v1/videos/${id}`, {
    headers: {
      Authorization: `Bearer ${SECRETS.bearer}`,
      Cookie: `session=${SECRETS.cookie}`,
      "X-Filename": SECRETS.file,
      "X-Forwarded-For": "203.0.113.77",
      Referer: `http://localhost/?signature=${SECRETS.query}`,
    },
  });
}

function mistakeWithWords(): Error {
  const cause = new Error(`duplicate key: (${SECRETS.parameter}) in ${SECRETS.path}\n    at ${SECRETS.bearer} (${SECRETS.path}/x.ts:1:1)`);
  return new TypeError(`insert into videos (title) values ('${SECRETS.title}')`, { cause });
}

describe("a mistake behind a request", () => {
  it("is told once, with where it was made and the ids under which the log has the rest", async () => {
    const id = randomUUID();
    gateway.catalogue.failures.set("videos.get", mistakeWithWords());
    let requestId: unknown;
    const told = await toldBy(async () => {
      const answer = await askWithSecrets(id);
      expect(answer.status).toBe(500);
      requestId = answer.headers["x-request-id"];
    });
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({
      release: expect.stringMatching(/^tritontube@\d+\.\d+\.\d+$/) as string,
      server_name: "here",
      tags: { service: "gateway", doing: "GET /api/v1/videos/:id", code: "INTERNAL", zone: "attic", request_id: requestId },
    });
    const [cause, thrown] = told[0]!.exception.values;
    expect([cause!.type, thrown!.type]).toEqual(["Error", "TypeError"]);
    expect(gateway.log.some(({ fields, message }) => message === "request failed" && fields.requestId === requestId)).toBe(true);
  });

  it("takes no word of a person, no secret and no path with it", async () => {
    const id = randomUUID();
    gateway.catalogue.failures.set("videos.get", mistakeWithWords());
    expect(await toldBy(async () => await askWithSecrets(id))).toHaveLength(1);
    const everything = receiver.everything();
    for (const secret of [...Object.values(SECRETS), id, "203.0.113.77", "insert into", process.cwd()])
      expect(everything).not.toContain(secret);
  });

  it.each([
    ["what is not there", failure("VIDEO_NOT_FOUND", "There is none."), 404],
    ["a database that is away", failure("DATABASE_UNAVAILABLE", "It does not answer."), 503],
    ["a service that is away", new Errors.ServiceNotFoundError({ action: "videos.get" }), 503],
  ])("is not %s", async (_what, error, status) => {
    gateway.catalogue.failures.set("videos.get", error);
    expect(await toldBy(async () => expect((await askWithSecrets(randomUUID())).status).toBe(status))).toEqual([]);
  });

  it("is told once where every request makes it, and the next one says how many were not", async () => {
    gateway.catalogue.failures.set("videos.get", new RangeError("again"));
    const told = await toldBy(async () => {
      for (let n = 0; n < 10; n++) {
        gateway.catalogue.failures.set("videos.get", sameMistake());
        await askWithSecrets(randomUUID());
      }
    });
    expect(told).toHaveLength(1);
    expect(receiver.events.at(-1)).toMatchObject({ tags: { service: "mark" }, extra: { untold: 9 } });
  });
});

/** A job for each of these errors, which it fails with; answers their ids when all have failed. */
async function failJobs(errors: readonly Error[]): Promise<readonly string[]> {
  const database = await testDatabase();
  const db = openDatabase(database.ownerUrl, { connectionsMax: 2 });
  const failing = errors.map((_, index) => ({ kind: "video.picture" as const, payload: { index } }));
  await transaction(db, async (tx) => await enqueue(tx, failing));
  const broker = await startServices(database.url, jobsService, workingService(errors));
  const all = async () => await rows<{ id: string; failure: unknown }>(db, "select id, failure from jobs order by id");
  await eventually(async () => (await all()).every((job) => job.failure !== null), { what: "the failures of all jobs" });
  const ids = (await all()).map(({ id }) => id);
  await broker.stop();
  await database.drop();
  return ids;
}

function workingService(errors: readonly Error[]): ServiceSchema {
  const work = async ({ payload }: { payload: { index?: unknown } }): Promise<never> =>
    await Promise.reject(errors[Number(payload.index)]!);
  const groups = () => [{ kinds: ["video.picture" as const], slots: errors.length }];
  return {
    name: "working",
    mixins: [worker<WithWorker>({ groups, kinds: { "video.picture": { completes: "work", work } } }) as ServiceSchema],
  };
}

const sameMistake = (): Error => new RangeError("again");

describe("a receiver that does not answer", () => {
  it("delays no request, and the end of a process by a second at most", async () => {
    receiver.hang();
    gateway.catalogue.failures.set("videos.get", mistakeWithWords());
    const began = performance.now();
    expect((await askWithSecrets(randomUUID())).status).toBe(500);
    expect((await askWithSecrets(randomUUID())).status).toBe(500);
    expect(performance.now() - began).toBeLessThan(1000);
    const ended = performance.now();
    await end();
    expect(performance.now() - ended).toBeLessThan(2500);
  });

  it("is said once in the log", async () => {
    const other = await startSentryReceiver();
    await other.stop();
    said.length = 0;
    await end();
    end = await startSentry({ ...loadConfig(), SENTRY_DSN: other.dsn }, { instance: "here", tell: (message) => said.push(message) });
    for (const name of ["One", "Two", "Three"]) tellMistake(Object.assign(new Error("x"), { name }), { service: "test" });
    await eventually(() => said.length > 0);
    await end();
    expect(said).toEqual([expect.stringContaining("cannot be told to SENTRY_DSN")]);
  });
});

describe("a mistake that no request waits for", () => {
  it("is no other one where several hear of it", async () => {
    const error = new URIError("x");
    const told = await toldBy(async () => {
      for (const service of ["first", "second"]) tellMistake(error, { service });
    });
    expect(told.map(({ tags }) => tags["service"])).toEqual(["first"]);
    // Nor is it counted.
    expect(receiver.events.at(-1)!.extra).toEqual({});
  });

  it("is told of an event that somebody heard, and of work that comes round", async () => {
    const broker = new ServiceBroker({ logger: false, middlewares: [mistakesOfEvents] });
    broker.createService({ name: "listener", events: { "video.changed": async () => await Promise.reject(new TypeError("x")) } });
    await broker.start();
    const told = await toldBy(async () => {
      await broker.broadcastLocal("video.changed", {}).catch(() => undefined);
      const failed = Promise.withResolvers<unknown>();
      const round = repeat(60_000, async () => await Promise.reject(new RangeError("a round")), failed.resolve);
      await failed.promise;
      await round.stop();
    });
    await broker.stop();
    expect(told.map(({ tags, exception }) => [tags["service"], tags["doing"], exception.values[0]!.type])).toEqual([
      ["listener", "video.changed", "TypeError"],
      ["rounds", undefined, "RangeError"],
    ]);
  });

  it("is told of a job, with its kind, its id and its attempt; what sources and disks do is not", async () => {
    const errors = [new TypeError("x is undefined"), failure("SOURCE_DAMAGED", "no picture"), failure("DISK_UNAVAILABLE", "away")];
    let ids: readonly string[] = [];
    const told = await toldBy(async () => (ids = await failJobs(errors)));
    expect(told.map(({ tags, extra }) => ({ tags, extra }))).toEqual([
      { tags: expect.objectContaining({ service: "working", doing: "video.picture", job: ids[0]! }) as object, extra: { attempt: 1 } },
    ]);
  });

  it("is told by a process that ends of it", async () => {
    const known = receiver.events.length;
    const env = { ...process.env, NODE_OPTIONS: "", SENTRY_DSN: receiver.dsn };
    const ended = await promisify(execFile)(process.execPath, [PROGRAM], { env }).catch((error: unknown) => error as { code: number });
    expect(ended).toMatchObject({ code: 1, stdout: expect.stringContaining("stopping after a mistake of ours: Error: sesame") as string });
    const [told] = receiver.events.slice(known);
    expect(told).toMatchObject({ server_name: "program", tags: { service: "launcher" }, exception: { values: [{ type: "Error" }] } });
    expect(receiver.everything()).not.toContain("sesame");
  });
});
