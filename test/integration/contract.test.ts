/**
 * Every operation of the API's description, by a machine that knows nothing but the description: with valid input, with each member missing, wrong and
 * hostile, without rights, and as somebody else. Nothing is a mistake of the server, nothing tells of its inside, and every answer is one that is described.
 */
import { randomUUID } from "node:crypto";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { rows } from "../../mixins/database/sql.ts";
import gatewayService from "../../services/gateway/gateway.service.ts";
import { onlyPerson } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import limitsService from "../../services/limits/limits.service.ts";
import uploadsService from "../../services/uploads/uploads.service.ts";
import upkeepService from "../../services/upkeep/upkeep.service.ts";
import { users, type UserRole } from "../../services/users/contract.ts";
import usersService from "../../services/users/users.service.ts";
import videosService from "../../services/videos/videos.service.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { description, type Operation } from "../support/description.ts";
import { hostileSegments, hostileTexts, hostileValues } from "../support/hostile.ts";
import { ask, type HttpAnswer } from "../support/http.ts";

const API = "/api/v1";
const PASSWORD = "correct horse battery";
type Headers = Readonly<Record<string, string>>;
interface Person {
  readonly id: string;
  readonly headers: Headers;
}

let cluster: Cluster;
let url = "";
const people = {} as Record<"root" | "ann" | "bob" | "eve", Person>;

async function person(name: string, role: UserRole): Promise<Person> {
  const user = await call(cluster.broker, users.create, { as: onlyPerson, id: randomUUID(), name, role, password: PASSWORD });
  const { secret } = await call(cluster.broker, users.createToken, { as: { id: user.id, role }, name: "test", days: 1 });
  return { id: user.id, headers: { Authorization: `Bearer ${secret}` } };
}

beforeAll(async () => {
  const services = [videosService, uploadsService, usersService, limitsService, upkeepService, gatewayService];
  const settings = { PORT: "0", HOST: "127.0.0.1", AUTH_MODE: "token", RATE_LIMITS: "false", UPLOADS_OPEN_MAX: "1000" };
  cluster = await startCluster({ services, settings });
  const { server } = cluster.broker.getLocalService("gateway") as unknown as { server: Server };
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  people.root = await person("root", "admin");
  people.ann = await person("ann", "uploader");
  people.bob = await person("bob", "uploader");
  people.eve = await person("eve", "viewer");
}, 240_000);
afterAll(() => cluster.stop());

interface Case {
  readonly method: string;
  readonly template: string;
  readonly operation: Operation;
}
const cases: readonly Case[] = Object.entries(description.paths).flatMap(([template, operations]) =>
  Object.entries(operations).map(([method, operation]) => ({ method: method.toUpperCase(), template, operation })),
);

/** Makes a thing of ann's that the operation is about, and answers its id. */
async function thing(template: string): Promise<string> {
  if (template.includes("/users/")) return (await person(`user-${randomUUID().slice(0, 8)}`, "viewer")).id;
  if (template.includes("/disks/")) return randomUUID();
  if (template.includes("/jobs/")) return await failedJob();
  const { headers } = people.ann;
  if (template.includes("/tokens/")) {
    const made = await ask(url, `${API}/tokens`, {
      method: "POST",
      headers: { ...headers, "Content-Type": "application/json" },
      body: '{"name":"x"}',
    });
    return (made.json().data as { id: string }).id;
  }
  if (template.includes("/uploads/")) {
    const tus = { ...headers, "Tus-Resumable": "1.0.0", "Upload-Length": "5" };
    return String((await ask(url, `${API}/uploads`, { method: "POST", headers: tus })).headers.location).replace(/.*\//, "");
  }
  const body = Buffer.from(`video ${randomUUID()}`);
  const stored = await ask(url, `${API}/videos/upload`, { method: "POST", headers: { ...headers, "Content-Type": "video/mp4" }, body });
  return (stored.json().data as { id: string }).id;
}

async function failedJob(): Promise<string> {
  const made = await rows<{ id: string }>(
    cluster.db,
    `insert into jobs (kind, state, finished_at, failure) values ('chunks.collect', 'failed', now(), '{"type": "INTERNAL", "message": "It broke."}') returning id`,
  );
  return made[0]!.id;
}

const parameters: Readonly<Record<string, string>> = { revision: "1", rendition: "720p", number: "1", language: "en" };

function addressOf(template: string, id: string, replaced: Readonly<Record<string, string>> = {}): string {
  return template.replaceAll(/\{(\w+)\}/g, (_, name: string) => replaced[name] ?? parameters[name] ?? id);
}

interface Schema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly minimum?: number;
  readonly minLength?: number;
  readonly minItems?: number;
  readonly pattern?: string;
  readonly default?: unknown;
}

/** A value that the schema takes. */
function sample(schema: Schema, name = ""): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  if (schema.anyOf) return sample(schema.anyOf[0] ?? {}, name);
  const type = Array.isArray(schema.type) ? String(schema.type[0]) : schema.type;
  if (type === "object") {
    return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([key, each]) => [key, sample(each, key)]));
  }
  if (type === "array") return Array.from({ length: schema.minItems ?? 1 }, () => sample(schema.items ?? {}, name));
  if (type === "integer" || type === "number") return Math.max(schema.minimum ?? 1, 1);
  if (type === "boolean") return false;
  if (/uuid|^ids?$/i.test(name) || schema.pattern?.includes("{8}-")) return randomUUID();
  if (name === "name") return `name-${randomUUID().slice(0, 8)}`;
  if (name === "address") return "127.0.0.1:1";
  return "a text that is long enough".slice(0, Math.max(26, schema.minLength ?? 0));
}

const jsonOf = ({ requestBody }: Operation): Schema | undefined => requestBody?.content["application/json"]?.schema;

const counts = new Map<string, number>();
const statuses = new Map<number, number>();

/** Sends it, and looks at the answer with the eyes of the description. */
async function probe(
  kind: string,
  { method, operation }: Case,
  target: string,
  { headers = {}, body }: { headers?: Headers; body?: unknown },
): Promise<HttpAnswer> {
  const json = body === undefined ? {} : { "Content-Type": "application/json" };
  const answer = await ask(url, target, {
    method,
    headers: { ...json, ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  counts.set(kind, (counts.get(kind) ?? 0) + 1);
  statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
  const text = answer.body.toString("latin1");
  const what = `${kind}: ${method} ${target.slice(0, 200)} ${JSON.stringify(body)?.slice(0, 200)} → ${answer.status} ${text.slice(0, 300)}`;
  if (answer.status >= 500 && !isExpected(operation, answer)) throw new Error(`a mistake of the server: ${what}`);
  if (/node_modules|\.ts:\d|SequelizeDatabase|at Object\.|\bselect \w+ from\b.*\bwhere\b/i.test(text))
    throw new Error(`it tells of its inside: ${what}`);
  if (answer.headers["content-type"]?.startsWith("application/problem+json") && method !== "HEAD") {
    const code = String(answer.json().code);
    const known = ["ROUTE_NOT_FOUND", "METHOD_NOT_ALLOWED", ...(operation.responses[answer.status]?.["x-codes"] ?? [])];
    if (!known.includes(code)) throw new Error(`${code} is not described: ${what}`);
  }
  return answer;
}

/** No transcoder runs here, and the disk that is to be added is none: both are told, in the words that are described. */
function isExpected({ operationId }: Operation, { status, body }: HttpAnswer): boolean {
  return status === 503 && (/Health|Readiness/.test(operationId) || body.includes("DISK_UNAVAILABLE"));
}

const tus = { "Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Upload-Length": "5" };

describe.each(cases.map((each) => [each.operation.operationId, each] as const))("%s", (_, each) => {
  const { method, template, operation } = each;
  const needs = /Needs: `(\w+)`/.exec((operation as unknown as { description: string }).description)?.[1] ?? "";
  const schema = jsonOf(operation);
  const streams = operation.requestBody !== undefined && schema === undefined;
  const asAnn = () => ({ ...people.ann.headers, ...(template.includes("/uploads") ? tus : {}) });
  const asMany = () => (needs === "admin" ? asRoot() : asAnn());
  const asRoot = () => ({ ...people.root.headers, ...(template.includes("/uploads") ? tus : {}) });

  it("answers valid input as it says", async () => {
    for (const headers of [asAnn(), asRoot()]) {
      const target = addressOf(template, await thing(template));
      await probe("valid", each, target, { headers, ...(schema ? { body: sample(schema) } : {}) });
    }
    expect(operation.responses).not.toEqual({});
  });

  it("refuses a body without a member that it needs, with one that is not known, and one that is none", async () => {
    if (!schema) return;
    const target = addressOf(template, await thing(template));
    const whole = sample(schema) as Record<string, unknown>;
    const lacking = (schema.required ?? []).map((name) => Object.fromEntries(Object.entries(whole).filter(([key]) => key !== name)));
    const asked = [...lacking, { ...whole, isAdmin: true }, { ...whole, owner: people.bob.id }, [], null, "text", 7];
    for (const body of asked) expect((await probe("malformed", each, target, { headers: asRoot(), body })).status).toBe(400);
    const broken = await ask(url, target, { method, headers: { ...asRoot(), "Content-Type": "application/json" }, body: '{"a": ' });
    const other = await ask(url, target, { method, headers: { ...asRoot(), "Content-Type": "text/plain" }, body: "{}" });
    const large = await ask(url, target, {
      method,
      headers: { ...asRoot(), "Content-Type": "application/json" },
      body: `"${"x".repeat(70_000)}"`,
    });
    expect([broken, other, large].map((answer) => answer.status)).toEqual([400, 415, 413]);
  });

  it("takes hostile values for what they are, in every member of its body", async () => {
    if (!schema) return;
    const target = addressOf(template, await thing(template));
    const whole = sample(schema) as Record<string, unknown>;
    for (const name of Object.keys(schema.properties ?? {})) {
      for (const value of [...hostileTexts, ...hostileValues])
        await probe("hostile body", each, target, { headers: asMany(), body: { ...whole, [name]: value } });
    }
    expect(schema.properties).toBeDefined();
  });

  it("takes hostile values for what they are, in every parameter of its query", async () => {
    const target = addressOf(template, await thing(template));
    for (const { name } of [...operation.parameters.filter(({ in: place }) => place === "query"), { name: "unknown" }]) {
      for (const value of hostileTexts) {
        const query = `${name}=${encodeURIComponent(value.toWellFormed())}`;
        if (target.length + query.length > 12_000) continue;
        await probe("hostile query", each, `${target}?${query}&${query}`, { headers: asMany() });
        await probe("hostile query", each, `${target}?${query}`, { headers: asMany() });
      }
    }
    expect(operation.operationId).not.toBe("");
  });

  it("is at no address whose parameters are none, in whatever spelling", async () => {
    for (const { name } of operation.parameters.filter(({ in: place }) => place === "path")) {
      const id = await thing(template);
      for (const segment of hostileSegments) {
        const answer = await probe("hostile path", each, addressOf(template, id, { [name]: segment }), { headers: asRoot() });
        expect([400, 401, 404, 405]).toContain(answer.status);
        expect(answer.body.toString()).not.toMatch(/root:.*:0:0:|\[fonts\]/);
      }
    }
  });

  it("lets in nobody who has too little a right", async () => {
    const target = addressOf(template, await thing(template));
    const body = schema ? { body: sample(schema) } : {};
    const lesser =
      { anonymous: [], viewer: [{}], uploader: [{}, people.eve.headers], admin: [{}, people.eve.headers, people.ann.headers] }[needs] ?? [];
    for (const headers of lesser) {
      const { status } = await probe("without rights", each, target, {
        headers: { ...headers, ...(template.includes("/uploads") ? tus : {}) },
        ...body,
      });
      expect([needs, status]).toEqual([needs, "Authorization" in headers ? 403 : 401]);
    }
    const forged = await probe("without rights", each, target, { headers: { Authorization: "Bearer tritontube_forged" }, ...body });
    expect(forged.status).toBe(401);
  });

  it("gives nobody what is somebody else's to change", async () => {
    const owned = needs !== "admin" && needs !== "anonymous" && template.includes("{id}") && !streams;
    if (!owned) return;
    const target = addressOf(template, await thing(template));
    const headers = { ...people.bob.headers, ...(template.includes("/uploads") ? tus : {}) };
    const { status } = await probe("as another user", each, target, { headers, ...(schema ? { body: sample(schema) } : {}) });
    expect([403, 404]).toContain(status);
  });
});

it("was many requests", () => {
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const lines = [...counts].map(([kind, count]) => `${kind} ${count}`).join(", ");
  process.stdout.write(
    `contract: ${cases.length} operations, ${all} requests (${lines}); statuses ${JSON.stringify(Object.fromEntries([...statuses].toSorted(([a], [b]) => a - b)))}\n`,
  );
  expect(all).toBeGreaterThan(1000);
});
