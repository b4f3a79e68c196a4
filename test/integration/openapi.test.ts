/** The API's description: valid, linted, served, and true to its own examples. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { apiRoutes } from "../../services/gateway/routes.ts";
import { ERRORS } from "../../services/kernel/errors.ts";
import { startGateway } from "../support/catalogue.ts";
import { breaches, description, type Operation } from "../support/description.ts";
import { ask } from "../support/http.ts";

const operations: readonly Operation[] = Object.values(description.paths).flatMap((methods) => Object.values(methods));

it("passes the linter's recommended rules", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tritontube-openapi-"));
  const file = join(folder, "openapi.json");
  writeFileSync(file, JSON.stringify(description));
  const redocly = join(import.meta.dirname, "../../node_modules/@redocly/cli/bin/cli.js");
  const environment = { ...process.env, REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true" };
  const linted = promisify(execFile)(process.execPath, [redocly, "lint", file, "--format", "json"], { env: environment });
  const { stdout } = await linted.catch((error: unknown) => error as { stdout: string });
  rmSync(folder, { recursive: true });
  const report = JSON.parse(stdout) as { totals: object; problems: readonly { message: string; severity: string }[] };
  expect(report.problems.map(({ severity, message }) => `${severity}: ${message}`)).toEqual([]);
  expect(report.totals).toMatchObject({ errors: 0, warnings: 0 });
});

it("is served as it is made, and says that it is OpenAPI 3.1", async () => {
  const gateway = await startGateway();
  const answer = await ask(gateway.url, "/api/v1/openapi.json");
  await gateway.stop();
  const served = answer.json() as unknown as { openapi: string; paths: object };
  expect([answer.status, served.openapi]).toEqual([200, "3.1.0"]);
  expect(served.paths).toEqual(description.paths);
});

it("describes every route of the API, each under a name of its own and in a chapter with words", () => {
  expect(operations).toHaveLength(apiRoutes.length);
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
  const chapters = new Set((description as unknown as { tags: readonly { name: string }[] }).tags.map(({ name }) => name));
  expect([...new Set(apiRoutes.map(({ tag }) => tag))].filter((tag) => !chapters.has(tag))).toEqual([]);
});

it("names only codes of the table of errors, each under its own status", () => {
  const wrong = operations.flatMap(({ operationId, responses }) =>
    Object.entries(responses).flatMap(([status, response]) =>
      (response["x-codes"] ?? []).flatMap((code) =>
        ERRORS[code as keyof typeof ERRORS].status === Number(status) ? [] : [`${operationId}: ${code} under ${status}`],
      ),
    ),
  );
  expect(wrong).toEqual([]);
});

it("audits whatever administrators change, and whatever anybody deletes or restores", () => {
  const kept = apiRoutes.filter((route) => "audit" in route).map(({ id }) => id);
  const due = apiRoutes.filter(({ method, needs }) => method !== "GET" && needs === "admin");
  const removals = apiRoutes.filter(({ id, tag }) => /^(?:delete|restore|purge|batch)/.test(id) && tag === "Videos");
  expect(due.length + removals.length).toBeGreaterThan(5);
  expect([...due, ...removals].map(({ id }) => id).filter((id) => !kept.includes(id))).toEqual([]);
});

it("keeps its own examples", () => {
  const schemas = Object.entries(description.components.schemas) as [string, { examples?: readonly unknown[] }][];
  const examples = schemas.flatMap(([name, schema]) => (schema.examples ?? []).map((example) => ({ name, schema, example })));
  expect(examples.length).toBeGreaterThan(2);
  for (const { name, schema, example } of examples) expect([name, ...breaches(schema, example)]).toEqual([name]);
});
