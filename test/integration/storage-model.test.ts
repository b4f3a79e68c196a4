import { randomUUID } from "node:crypto";
import * as fc from "fast-check";
import type { ServiceBroker } from "moleculer";
import { Rows } from "../../bench/simulation/rows.ts";
import { SHIPPED } from "../../bench/simulation/rules.ts";
import { openDatabase } from "../../mixins/database/connection.ts";
import { execute, type Database } from "../../mixins/database/sql.ts";
import blobsService from "../../services/blobs/blobs.service.ts";
import { blobs } from "../../services/blobs/contract.ts";
import { errorType, failure } from "../../services/kernel/errors.ts";
import { CHUNK_BYTES_MAX } from "../../services/kernel/limits.ts";
import { call } from "../../services/kernel/rpc.ts";
import { testDatabase, type TestDatabase } from "../support/postgres.ts";
import { startServices } from "../support/services.ts";

/** The rows that the simulation stands on (bench/simulation/rows.ts) are worth what they share with PostgreSQL: the same calls, the same answers. */

const GRACE_S = 1000;
const HELD_S = 120;
const CHUNKS = ["00", "80", "ff"].map((start) => start.padEnd(64, "5"));
const DISKS = [randomUUID(), randomUUID()] as const;
const NAMES = ["a", "b", "c"];

let database: TestDatabase;
let db: Database;
let broker: ServiceBroker;

beforeAll(async () => {
  process.env["COLLECT_GRACE_SECONDS"] = String(GRACE_S);
  database = await testDatabase();
  db = openDatabase(database.ownerUrl, { connectionsMax: 4 });
  await execute(db, "create table named (id text primary key, blob bytea not null references blobs (id))");
  await execute(db, "grant select on named to public");
  await execute(db, "select reference_blobs('named', 'blob')");
  broker = await startServices(database.url, blobsService);
});
afterAll(async () => {
  await broker.stop();
  await database.drop();
  delete process.env["COLLECT_GRACE_SECONDS"];
});

/** One step of a sequence. Blobs and leases are told by how long ago they were made. */
type Step =
  | { readonly act: "lease"; readonly chunks: readonly string[] }
  | { readonly act: "commit"; readonly chunks: readonly string[]; readonly lease: number; readonly behind: number }
  | { readonly act: "concat"; readonly parts: readonly number[] }
  | { readonly act: "name"; readonly name: string; readonly blob: number }
  | { readonly act: "unname"; readonly name: string }
  | { readonly act: "pass"; readonly seconds: number }
  | { readonly act: "ring" }
  | { readonly act: "call"; readonly action: Called; readonly params: object };
type Called = (typeof CALLED)[number];

/** Actions whose parameters are the same for both. */
const CALLED = [
  "reportMissing",
  "chunksIn",
  "digests",
  "known",
  "dueRepairs",
  "repaired",
  "collect",
  "leaving",
  "areLeaving",
  "left",
] as const;

/** The model and the service, and what those who call them keep in mind. */
class Twins {
  readonly #model = new Rows({ rules: SHIPPED, graceMs: GRACE_S * 1000, heldMs: HELD_S * 1000, now: () => this.#nowMs });
  /** Only the model's clock is put forward; the rows of PostgreSQL grow older instead. */
  #nowMs = Date.now();
  #leases: { readonly model: string; readonly sql: string }[] = [];
  readonly #blobs: string[] = [];
  #epoch = 0;

  async empty(): Promise<void> {
    await execute(db, "truncate named, rings, blobs, chunks, missing_copies cascade");
    await this.#newRing();
  }

  /** What the model answers, and what the service does. */
  async take(step: Step): Promise<readonly [unknown, unknown]> {
    switch (step.act) {
      case "lease":
        return await this.#lease(step.chunks);
      case "commit":
        return await this.#commit(step);
      case "concat":
        return await both(
          () => this.#model.concat({ parts: step.parts.map((part) => this.#blob(part)) }),
          async () => await call(broker, blobs.concat, { parts: step.parts.map((part) => this.#blob(part)) }),
        );
      case "name":
        await this.take({ act: "unname", name: step.name });
        return await both(
          () => this.#model.name(step.name, this.#blob(step.blob)),
          async () => await name(step.name, this.#blob(step.blob)),
        );
      case "unname":
        return await both(
          () => this.#model.unname(step.name),
          async () => void (await execute(db, "delete from named where id = $1", [step.name])),
        );
      case "pass":
        return await both(
          () => undefined,
          async () => await this.#pass(step.seconds),
        );
      case "ring":
        return await both(
          () => undefined,
          async () => await this.#newRing(),
        );
      case "call":
        break;
    }
    return await both(
      () => this.#model[step.action](step.params as never),
      async () => await broker.call(blobs[step.action].name, step.params),
    );
  }

  async #lease(chunks: readonly string[]): Promise<readonly [unknown, unknown]> {
    const params = { chunks: chunks.map((chunk) => ({ chunk, size: CHUNK_BYTES_MAX })) };
    const leased: string[] = [];
    const keep = ({ leasedAt }: { leasedAt: string }): void => void leased.push(leasedAt);
    const answers = await both(
      () => keep(this.#model.lease(params)),
      async () => keep(await call(broker, blobs.lease, params)),
    );
    const [model, sql] = leased;
    if (model !== undefined && sql !== undefined) this.#leases.push({ model, sql });
    return answers;
  }

  async #commit({ chunks, lease, behind }: Extract<Step, { act: "commit" }>): Promise<readonly [unknown, unknown]> {
    const leased = this.#leases.at(-1 - lease) ?? { model: ANCIENT, sql: ANCIENT };
    const params = {
      epoch: Math.max(1, this.#epoch - behind),
      size: chunks.length * CHUNK_BYTES_MAX,
      chunks: new Uint8Array(Buffer.from(chunks.join(""), "hex")),
      missing: chunks.map((chunk) => ({ chunk, size: CHUNK_BYTES_MAX, disk: DISKS[0] })),
    };
    const answers = await both(
      () => this.#model.commit({ ...params, leasedAt: leased.model }),
      async () => await call(broker, blobs.commit, { ...params, leasedAt: leased.sql }),
    );
    const [made] = answers;
    if (typeof made === "object") this.#blobs.push((made as { blob: string }).blob);
    return answers;
  }

  async #pass(seconds: number): Promise<void> {
    this.#nowMs += seconds * 1000;
    await execute(db, "update chunks set touched_at = touched_at - $1::integer * interval '1 s'", [seconds]);
    await execute(db, "update blobs set touched_at = touched_at - $1::integer * interval '1 s'", [seconds]);
    await execute(db, "update missing_copies set run_at = run_at - $1::integer * interval '1 s'", [seconds]);
    this.#leases = this.#leases.map(({ model, sql }) => ({ model, sql: new Date(Date.parse(sql) - seconds * 1000).toISOString() }));
  }

  async #newRing(): Promise<void> {
    this.#epoch += 1;
    this.#model.epoch = this.#epoch;
    await execute(db, "insert into rings (epoch, partition_bits, replicas, owners, disks) values ($1, 12, 1, $2, $3::uuid[])", [
      this.#epoch,
      Buffer.alloc(8192),
      [DISKS[0]],
    ]);
  }

  #blob(index: number): string {
    return this.#blobs.at(-1 - index) ?? "0".repeat(64);
  }
}

/** A lease that nobody has, and that is over. */
const ANCIENT = new Date(0).toISOString();

async function both(model: () => unknown, sql: () => Promise<unknown>): Promise<readonly [unknown, unknown]> {
  return [await outcome(async () => model()), await outcome(sql)];
}

/** What a call answers, or the type of its failure, in a shape that can be compared. */
async function outcome(work: () => Promise<unknown>): Promise<unknown> {
  try {
    const answer = await work();
    if (answer instanceof Uint8Array) return Buffer.from(answer).toString("hex");
    return Array.isArray(answer) ? answer.map((one) => JSON.stringify(one)).toSorted() : answer;
  } catch (error) {
    const type = errorType(error);
    if (type === undefined) throw error;
    return type;
  }
}

/** BLOB_NOT_FOUND, of which a foreign key is the guard. */
async function name(id: string, blob: string): Promise<void> {
  const named = await execute(db, "insert into named select $1, id from blobs where id = $2", [id, Buffer.from(blob, "hex")]);
  if (named === 0) throw failure("BLOB_NOT_FOUND", "There is no such blob.");
}

const chunk = fc.constantFrom(...CHUNKS);
const chunks = fc.uniqueArray(chunk, { minLength: 1, maxLength: 3 });
const disk = fc.constantFrom(...DISKS);
const called = (action: Called, params: fc.Arbitrary<object>): fc.Arbitrary<Step> =>
  params.map((given) => ({ act: "call", action, params: given }));

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ act: fc.constant("lease" as const), chunks }) },
  {
    weight: 6,
    arbitrary: fc.record({
      act: fc.constant("commit" as const),
      chunks: fc.array(chunk, { minLength: 1, maxLength: 3 }),
      lease: fc.nat(2),
      behind: fc.nat(1),
    }),
  },
  fc.record({ act: fc.constant("concat" as const), parts: fc.array(fc.nat(2), { minLength: 1, maxLength: 2 }) }),
  { weight: 2, arbitrary: fc.record({ act: fc.constant("name" as const), name: fc.constantFrom(...NAMES), blob: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant("unname" as const), name: fc.constantFrom(...NAMES) }) },
  { weight: 4, arbitrary: fc.record({ act: fc.constant("pass" as const), seconds: fc.constantFrom(50, 700, 1500) }) },
  fc.record({ act: fc.constant("ring" as const) }),
  called(
    "reportMissing",
    fc.record({ copies: fc.array(fc.record({ chunk, disk, size: fc.constant(CHUNK_BYTES_MAX) }), { maxLength: 2 }) }),
  ),
  called("chunksIn", fc.record({ bits: fc.constant(1), partition: fc.nat(1), limit: fc.constantFrom(1, 1000) })),
  called("digests", fc.constant({ bits: 2, first: 0, last: 3 })),
  called("known", fc.record({ chunks })),
  called("dueRepairs", fc.record({ disk, limit: fc.constant(1000) })),
  called("repaired", fc.record({ disk, chunks })),
  { weight: 5, arbitrary: called("collect", fc.constant({})) },
  called("leaving", fc.record({ limit: fc.constantFrom(1, 1000) })),
  called("areLeaving", fc.record({ chunks })),
  { weight: 2, arbitrary: called("left", fc.record({ chunks })) },
);

/** Mostly whole uploads, and what is stored is mostly there: chance alone would seldom store anything. */
const steps: fc.Arbitrary<readonly Step[]> = fc.oneof(
  { weight: 3, arbitrary: step.map((one) => [one]) },
  {
    weight: 1,
    arbitrary: chunks.map((stored): Step[] => [
      { act: "lease", chunks: stored },
      { act: "commit", chunks: stored, lease: 0, behind: 0 },
    ]),
  },
  {
    weight: 1,
    arbitrary: fc.constant<Step[]>([
      { act: "pass", seconds: 1500 },
      { act: "call", action: "collect", params: {} },
    ]),
  },
);

it("answers in the simulation as PostgreSQL does, whatever came before", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 5, maxLength: 40 }), async (parts) => {
      const twins = new Twins();
      await twins.empty();
      for (const [index, one] of parts.flat().entries()) {
        const [model, sql] = await twins.take(one);
        expect({ index, step: one, answer: model }).toEqual({ index, step: one, answer: sql });
      }
    }),
    { numRuns: 100 },
  );
});
