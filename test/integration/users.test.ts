/** Users, what they show and what they may, on a real database. */
import { randomUUID } from "node:crypto";
import type { ServiceBroker } from "moleculer";
import { openDatabase } from "../../mixins/database/connection.ts";
import { execute, one, rows, type Database } from "../../mixins/database/sql.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { onlyPerson, type Principal } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import { limits } from "../../services/limits/contract.ts";
import limitsService from "../../services/limits/limits.service.ts";
import { users, type User, type UserRole } from "../../services/users/contract.ts";
import usersService from "../../services/users/users.service.ts";
import { eventually } from "../support/eventually.ts";
import { testDatabase, type TestDatabase } from "../support/postgres.ts";
import { startServices } from "../support/services.ts";

const PASSWORD = "correct horse battery";
let database: TestDatabase;
let db: Database;
let broker: ServiceBroker;

beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.ownerUrl, { connectionsMax: 8 });
  broker = await startServices(database.url, usersService, limitsService);
});
afterAll(async () => {
  await broker.stop();
  await database.drop();
});
beforeEach(async () => {
  await execute(db, "truncate users, tokens, sessions, audit, buckets, signing_keys");
});

async function add(name: string, role: UserRole, password: string | null = PASSWORD): Promise<User> {
  return await call(broker, users.create, { as: onlyPerson, id: randomUUID(), name, role, ...(password === null ? {} : { password }) });
}
const as = ({ id, role }: User): Principal => ({ id, role });
const signIn = (name: string, password = PASSWORD, address = "192.0.2.1") =>
  call(broker, users.signIn, { name, password, address, requestId: "a-request" });
const typeOf = async (work: Promise<unknown>): Promise<unknown> => errorType(await work.catch((error: unknown) => error));

/** A few at a time: each costs a tenth of a second of processor time, and a call has ten seconds. */
async function fewAtOnce(times: number, once: (index: number) => Promise<unknown>): Promise<unknown[]> {
  const types: unknown[] = [];
  while (types.length < times) {
    types.push(...(await Promise.all(Array.from({ length: 5 }, (_, index) => typeOf(once(types.length + index))))));
  }
  return types;
}

describe("a password", () => {
  it("opens a session that says who it is, and none after the sign-out", async () => {
    const ann = await add("Ann", "uploader");
    const { session } = await signIn("ANN");
    const identity = await call(broker, users.identify, { kind: "session", session });
    expect(identity).toEqual({ user: ann, role: "uploader" });
    await call(broker, users.signOut, { session });
    expect(await typeOf(call(broker, users.identify, { kind: "session", session }))).toBe("UNAUTHENTICATED");
  });

  it("is refused in the same words whether it is wrong or the name is", async () => {
    await add("ann", "viewer");
    const errors = await Promise.all([signIn("ann", "wrong"), signIn("nobody")].map((tried) => tried.catch(String)));
    expect(errors[0]).toBe(errors[1]);
    expect(errors[0]).toContain("There is no such user with this password.");
  });

  it("is nowhere in the database, nor is what it opens", async () => {
    await add("ann", "admin");
    const { session } = await signIn("ann");
    const { secret } = await call(broker, users.createToken, { as: { ...onlyPerson, id: (await stored("ann")).id }, name: "t", days: 1 });
    for (const table of ["users", "sessions", "tokens", "audit"]) {
      const text = JSON.stringify(await rows(db, `select ${table}.*, ${table}::text as everything from ${table}`));
      for (const shown of [PASSWORD, session, secret]) expect(text).not.toContain(shown);
    }
    expect((await stored("ann")).password).toMatch(/^scrypt\$15\$8\$3\$[\w-]{22}\$[\w-]{43}$/);
  });

  it("can be guessed at ten times for a name, from wherever, and then has to wait; the right one is not let in meanwhile either", async () => {
    await add("ann", "viewer");
    const tries = await fewAtOnce(15, (index) => signIn("ann", "wrong", `192.0.2.${index}`));
    expect(tries.filter((type) => type === "UNAUTHENTICATED")).toHaveLength(10);
    expect(tries.filter((type) => type === "RATE_LIMITED")).toHaveLength(5);
    const refusal = (await signIn("ann").catch((error: unknown) => error)) as { data: { retryAfterS: number } };
    expect(refusal.data.retryAfterS).toBeGreaterThan(0);
    expect(refusal.data.retryAfterS).toBeLessThanOrEqual(75);
  });

  it("can be guessed at twenty times from an address, whatever the names", async () => {
    const tries = await fewAtOnce(25, (index) => signIn(`user${index}`, "wrong"));
    expect(tries.filter((type) => type === "UNAUTHENTICATED")).toHaveLength(20);
    expect(tries.filter((type) => type === "RATE_LIMITED")).toHaveLength(5);
  });

  it("is guessed at no more often under other spellings of the name", async () => {
    await add("ann", "viewer");
    const tries = await fewAtOnce(15, (index) => signIn(["ann", "ANN", "Ann", "aNN", "anN"][index % 5]!, "wrong", `192.0.2.${index}`));
    // Ten, and one more each minute that it takes.
    expect(tries.filter((type) => type === "UNAUTHENTICATED").length).toBeLessThan(13);
  });

  it.each([
    ["a network of IPv6 that one has to himself", (index: number) => `2001:db8:5:6:${index}::1`],
    ["one address in several spellings", (index: number) => ["192.0.2.77", "::ffff:192.0.2.77", "::FFFF:c000:24d"][index % 3]!],
  ])("is guessed at no more often from %s than from an address", async (_, address) => {
    const tries = await fewAtOnce(25, (index) => signIn(`user${index}`, "wrong", address(index)));
    // Twenty, and one more each 15 s that it takes.
    expect(tries.filter((type) => type === "UNAUTHENTICATED").length).toBeLessThan(24);
    expect(new Set(tries)).toEqual(new Set(["UNAUTHENTICATED", "RATE_LIMITED"]));
  });

  it("costs its owner nothing when it is right", async () => {
    await add("ann", "viewer");
    for (let index = 0; index < 12; index++) await signIn("ann");
    expect(await rows(db, "select 1 from sessions")).toHaveLength(12);
  });

  it("that is changed ends every session", async () => {
    const ann = await add("ann", "viewer");
    const { session } = await signIn("ann");
    const next = "another long one";
    const change = (password: string) => call(broker, users.changePassword, { as: as(ann), password, next, address: "192.0.2.1" });
    expect(await typeOf(change("not it at all"))).toBe("UNAUTHENTICATED");
    await change(PASSWORD);
    expect(await typeOf(call(broker, users.identify, { kind: "session", session }))).toBe("UNAUTHENTICATED");
    expect(await typeOf(signIn("ann"))).toBe("UNAUTHENTICATED");
    expect((await signIn("ann", next)).identity.user.id).toBe(ann.id);
  });

  it.each(["short", "nine char", ""])("is not taken when it is too short: %p", async (password) => {
    expect(await typeOf(call(broker, users.create, { as: onlyPerson, id: randomUUID(), name: "ann", role: "viewer", password }))).toBe(
      "INVALID_REQUEST",
    );
  });
});

interface StoredUser {
  readonly id: string;
  readonly password: string;
}
async function stored(name: string): Promise<StoredUser> {
  const found = await one<StoredUser>(db, "select id, password from users where name = $1", [name]);
  if (!found) throw new Error(`no ${name}`);
  return found;
}

describe("a token", () => {
  it("stands for its user until it is revoked, and its secret is shown once", async () => {
    const ann = await add("ann", "uploader", null);
    const { secret, ...token } = await call(broker, users.createToken, { as: as(ann), name: "backup", days: 30 });
    expect(secret).toMatch(/^tritontube_[\w-]{43}$/);
    expect((await call(broker, users.identify, { kind: "token", token: secret })).role).toBe("uploader");
    const [listed] = await call(broker, users.tokens, { as: as(ann) });
    expect({ ...listed, usedAt: null }).toEqual(token);
    expect(listed?.usedAt).not.toBeNull();
    await call(broker, users.revokeToken, { as: as(ann), id: token.id });
    expect(await typeOf(call(broker, users.identify, { kind: "token", token: secret }))).toBe("UNAUTHENTICATED");
  });

  it("ends at its time", async () => {
    const ann = await add("ann", "viewer", null);
    const { secret } = await call(broker, users.createToken, { as: as(ann), name: "t", days: 1 });
    await execute(db, "update tokens set expires_at = now()");
    expect(await typeOf(call(broker, users.identify, { kind: "token", token: secret }))).toBe("UNAUTHENTICATED");
  });

  it("lets in with the lesser of its own role and its user's", async () => {
    const ann = await add("ann", "admin");
    await add("second", "admin");
    const make = (role: UserRole) => call(broker, users.createToken, { as: as(ann), name: role, role, days: 1 });
    const [low, high] = await Promise.all([make("viewer"), make("admin")]);
    const role = async (token: string) => (await call(broker, users.identify, { kind: "token", token })).role;
    expect([await role(low.secret), await role(high.secret)]).toEqual(["viewer", "admin"]);
    await call(broker, users.update, { as: onlyPerson, id: ann.id, role: "uploader" });
    expect([await role(low.secret), await role(high.secret)]).toEqual(["viewer", "uploader"]);
  });

  it("has no higher role than whoever makes it, and belongs to nobody else", async () => {
    const [ann, bob] = await Promise.all([add("ann", "uploader"), add("bob", "admin")]);
    expect(await typeOf(call(broker, users.createToken, { as: as(ann), name: "t", role: "admin", days: 1 }))).toBe("FORBIDDEN");
    const token = await call(broker, users.createToken, { as: as(ann), name: "t", days: 1 });
    expect(await typeOf(call(broker, users.revokeToken, { as: as(bob), id: token.id }))).toBe("TOKEN_NOT_FOUND");
    expect(await call(broker, users.tokens, { as: as(bob) })).toEqual([]);
  });
});

describe("a user", () => {
  it("who is disabled is out at once, by session, token and password", async () => {
    await add("root", "admin");
    const ann = await add("ann", "uploader");
    const [{ session }, { secret }] = await Promise.all([
      signIn("ann"),
      call(broker, users.createToken, { as: as(ann), name: "t", days: 1 }),
    ]);
    await call(broker, users.update, { as: onlyPerson, id: ann.id, disabled: true });
    expect(await typeOf(call(broker, users.identify, { kind: "session", session }))).toBe("UNAUTHENTICATED");
    expect(await typeOf(call(broker, users.identify, { kind: "token", token: secret }))).toBe("UNAUTHENTICATED");
    expect(await typeOf(signIn("ann"))).toBe("UNAUTHENTICATED");
    await call(broker, users.update, { as: onlyPerson, id: ann.id, disabled: false });
    expect((await signIn("ann")).identity.user.disabledAt).toBeNull();
  });

  it("has a name of its own, however it is written", async () => {
    await add("ann", "viewer");
    expect(await typeOf(add("ANN", "viewer"))).toBe("USER_EXISTS");
    for (const name of ["", " ann", "ann\u0000", "a/b", "Ann\u202E", "x".repeat(65)])
      expect(await typeOf(add(name, "viewer"))).toBe("INVALID_REQUEST");
  });

  it("is made, listed and changed by administrators only", async () => {
    const ann = await add("ann", "uploader");
    const mine = as(ann);
    expect(await typeOf(call(broker, users.create, { as: mine, id: randomUUID(), name: "eve", role: "admin" }))).toBe("FORBIDDEN");
    expect(await typeOf(call(broker, users.list, { as: mine }))).toBe("FORBIDDEN");
    expect(await typeOf(call(broker, users.update, { as: mine, id: ann.id, role: "admin" }))).toBe("FORBIDDEN");
    expect(await typeOf(call(broker, users.audit, { as: mine, limit: 1 }))).toBe("FORBIDDEN");
    expect((await call(broker, users.list, { as: onlyPerson })).map(({ name, role }) => [name, role])).toEqual([["ann", "uploader"]]);
  });

  it("who is the last administrator stays one, also when two try at once to take the role from each other", async () => {
    const [ann, bob] = await Promise.all([add("ann", "admin"), add("bob", "admin")]);
    const tried = [ann, bob].map(({ id }) => typeOf(call(broker, users.update, { as: onlyPerson, id, role: "viewer" })));
    expect(new Set(await Promise.all(tried))).toEqual(new Set(["LAST_ADMIN", undefined]));
    expect(await rows(db, "select 1 from users where role = 'admin'")).toHaveLength(1);
  });
});

it("keeps an audit of sign-ins, good and bad, newest first and without passwords", async () => {
  const ann = await add("ann", "admin");
  await signIn("ann");
  await typeOf(signIn("ann", "a wrong one"));
  const seen = await call(broker, users.audit, { as: as(ann), limit: 10 });
  expect(seen.map(({ action, subject, outcome, user, address }) => [action, subject, outcome, user, address])).toEqual([
    ["signIn", "ann", "UNAUTHENTICATED", null, "192.0.2.1"],
    ["signIn", "ann", "done", ann.id, "192.0.2.1"],
  ]);
  expect(JSON.stringify(seen)).not.toContain("a wrong one");
  const [newest] = seen;
  expect(await call(broker, users.audit, { as: as(ann), limit: 1, before: newest?.id ?? "" })).toEqual([seen[1]]);
});

it("signs with a new key each day, and still knows yesterday's", async () => {
  const [first] = await keys();
  expect(await keys()).toHaveLength(1);
  await execute(db, "update signing_keys set created_at = created_at - interval '25 hours'");
  expect((await keys()).map(({ id }) => id)).toEqual([expect.any(Number), first?.id]);
  await execute(db, "update signing_keys set created_at = created_at - interval '25 hours'");
  expect((await keys()).map(({ id }) => id)).not.toContain(first?.id);
});

const keys = () => call(broker, users.signingKeys, {});
const spend = async (key: string, costMs: number, mostMs?: number) =>
  (await call(broker, limits.spend, { spent: [{ key, costMs, ...(mostMs === undefined ? {} : { mostMs }) }] }))[0];

describe("buckets", () => {
  it("take what fits, refuse what does not and keep nothing of it, however many pour at once", async () => {
    const poured = await Promise.all(Array.from({ length: 30 }, () => spend("a", 1000, 10_000)));
    expect(poured.filter((level) => level?.refused === false)).toHaveLength(10);
    expect((await spend("a", 0))?.aheadMs).toBeLessThanOrEqual(10_000);
  });

  it("empty by themselves, and give back", async () => {
    await spend("a", 5000);
    expect((await spend("a", -4000))?.aheadMs).toBeLessThanOrEqual(1000);
    expect((await spend("a", -4000))?.refused).toBe(false);
    expect((await spend("b", 50))?.refused).toBe(false);
    expect(await eventually(async () => (await spend("b", 0))?.aheadMs === 0)).toBe(true);
  });

  it("do not wait for each other in a circle when many are poured into in opposite orders", async () => {
    const names = Array.from({ length: 50 }, (_, index) => `k${index}`);
    const batches = [names, names.toReversed()].flatMap((order) => Array.from({ length: 10 }, () => order));
    const poured = await Promise.all(
      batches.map((order) => call(broker, limits.spend, { spent: order.map((key) => ({ key, costMs: 60_000 })) })),
    );
    expect(poured.flat()).toHaveLength(1000);
    expect((await spend("k7", 0))?.aheadMs).toBeGreaterThan(19 * 60_000);
  });
});
