/** What belongs to which trace where calls wait for one another, and what to none. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { startReceiver, type ReceivedStep, type Receiver } from "../support/otlp.ts";

const PROGRAM = join(import.meta.dirname, "../support/traced.ts");

let receiver: Receiver;
let output: { nobodys: object; endings: { of: string; toldOf: string }[] };

beforeAll(async () => {
  receiver = await startReceiver();
  const env = { ...process.env, NODE_OPTIONS: "", OTLP_URL: receiver.url, OTLP_READS: "0" };
  output = JSON.parse((await promisify(execFile)(process.execPath, [PROGRAM], { env })).stdout) as typeof output;
}, 60_000);
afterAll(async () => await receiver.stop());

const named = (name: string): ReceivedStep | undefined => receiver.steps.find((step) => step.name === name);

it("gives each call what it causes, also one that waited for the end of another", () => {
  for (const one of ["first", "second"]) expect(named(`within ${one}`)).toMatchObject({ traceId: named(one)!.traceId });
  expect(named("first")!.traceId).not.toBe(named("second")!.traceId);
});

it("takes what an event wakes for nobody's", () => {
  expect(named("third")).toBeDefined();
  expect(named("an event")).toBeUndefined();
});

it("goes on a trace that it is told of, and takes what is not well formed for none", () => {
  expect(named("told")).toMatchObject({ traceId: "ab".repeat(16), parent: "cd".repeat(8) });
  expect(named("not told")).toMatchObject({ parent: null });
});

it("tells the type of a failure, and none of its words", () => {
  expect(named("failing")).toMatchObject({ failed: true, attributes: { "error.type": "INTERNAL" } });
  expect(JSON.stringify(receiver.steps)).not.toContain("sesame");
});

it("traces nothing of what only reads, where OTLP_READS is 0, whatever its client says", () => {
  for (const name of ["GET none", "HEAD none", "within a GET", "within a HEAD"]) expect(named(name)).toBeUndefined();
  expect(named("PUT none")).toMatchObject({ traceId: "ef".repeat(16) });
});

it("traces nothing where nothing began a trace", () => {
  expect(named("nobody's")).toBeUndefined();
  expect(output.nobodys).toEqual({ traced: false, traceparent: null });
});

it("ends each answer in its own trace, also those that are ready at the same moment", () => {
  expect(output.endings).toHaveLength(3);
  expect(output.endings.map(({ toldOf }) => toldOf)).toEqual(output.endings.map(({ of }) => of));
});

it("sends what is left when the process ends", () => {
  expect(receiver.steps.map(({ name }) => name).toSorted()).toEqual(
    [
      "failing",
      "first",
      "fourth",
      "not told",
      "POST none",
      "POST none",
      "POST none",
      "PUT none",
      "second",
      "third",
      "told",
      "within a PUT",
      "within first",
      "within second",
      "work.alone",
      "work.alone",
    ].toSorted(),
  );
});
