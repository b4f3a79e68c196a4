/** What is told of a mistake to those outside, and how often. */
import { anything, assert, dictionary, oneof, property, string } from "fast-check";
import { Moderation, reportOf, type Frame, type Report } from "../../../config/report.ts";
import { failure } from "../../../services/kernel/errors.ts";

const LINE = /at (?:(\S.*?) \()?(.+?):(\d+):(\d+)\)?$/;
const framesOf = (stack: string): Frame[] =>
  stack.split("\n").flatMap((line) => {
    const [, name, filename, lineno, colno] = LINE.exec(line) ?? [];
    return filename === undefined
      ? []
      : [{ filename, lineno: Number(lineno), colno: Number(colno), ...(name === undefined ? {} : { function: name }) }];
  });
const origin = { release: "tritontube@1.0.0", node: "videos-1", zone: "attic", framesOf };
const about = { service: "gateway" };

function withStack(error: Error, ...lines: readonly string[]): Error {
  error.stack = [`${error.name}: ${error.message}`, ...lines.map((line) => `    at ${line}`)].join("\n");
  return error;
}
const framesIn = ({ exception }: Report) => exception.values.at(-1)?.stacktrace?.frames ?? [];

describe("a report", () => {
  it("says where in the code, by names of the project, and whether it is code of ours", () => {
    const error = withStack(
      new Error("x"),
      "create (/srv/app/services/videos/store/catalogue.ts:12:3)",
      "Pool.query (file:///srv/app/node_modules/pg/lib/client.js:5:6)",
      "processTicksAndRejections (node:internal/process/task_queues:104:5)",
      "run (/srv/ann/other/program.ts:1:1)",
    );
    expect(framesIn(reportOf(error, about, origin))).toEqual([
      { filename: "services/videos/store/catalogue.ts", function: "create", lineno: 12, colno: 3, in_app: true },
      { filename: "node_modules/pg/lib/client.js", function: "Pool.query", lineno: 5, colno: 6, in_app: false },
      { filename: "node:internal/process/task_queues", function: "processTicksAndRejections", lineno: 104, colno: 5, in_app: false },
    ]);
  });

  it("takes no line of the words for a place in the code", () => {
    const words = "sesame\n    at sesame (/srv/app/services/sesame.ts:1:1)";
    const report = reportOf(withStack(new Error(words), "create (/srv/app/services/a.ts:1:2)"), about, origin);
    expect(framesIn(report).map(({ filename }) => filename)).toEqual(["services/a.ts"]);
    expect(JSON.stringify(report)).not.toContain("sesame");
  });

  it.each([
    ["Cannot read properties of undefined (reading 'title')", true],
    ["videos.find is not a function", true],
    ["Maximum call stack size exceeded", true],
    ["Invalid array length", true],
    ["Cannot read properties of undefined (reading 'tt_9f3a77c2')", false],
    [`Unexpected token 'h', "hunter2" is not valid JSON`, false],
    ["insert into videos (title) values ('Sesame')", false],
    ["ENOENT: no such file or directory, open '/srv/ann/x'", false],
  ])("says no word of an error but the engine's own: %s", (words, kept) => {
    const [told] = reportOf(new Error(words), about, origin).exception.values;
    expect(told!.value).toBe(kept ? words : "(the log has the words)");
  });

  it("has the type of what was thrown and of its causes, the last thrown last", () => {
    const error = new Error("a", { cause: new RangeError("b", { cause: "a text" }) });
    expect(reportOf(error, about, origin).exception.values.map(({ type }) => type)).toEqual(["thrown string", "RangeError", "Error"]);
  });

  it("ends where an error is its own cause", () => {
    const error = new Error("a");
    error.cause = error;
    expect(reportOf(error, about, origin).exception.values).toHaveLength(4);
  });

  it("has the row of the table, the state that the database gave, and the node where it was thrown", () => {
    const error = Object.assign(failure("INTERNAL", "A statement failed.", { data: { sqlState: "42P01", title: "Sesame" } }), {
      nodeID: "videos-7",
    });
    expect(reportOf(error, about, origin).tags).toEqual({
      service: "gateway",
      node: "videos-7",
      zone: "attic",
      code: "INTERNAL",
      sql_state: "42P01",
    });
  });

  it("has the ids of trace and span, and of a request only one that was made here", () => {
    const traceparent = `00-${"ab".repeat(16)}-${"cd".repeat(8)}-01`;
    const made = "7c1e89e8-5416-47c0-8c46-c904e53332ff";
    const report = reportOf(new Error("x"), { ...about, requestId: made }, origin, traceparent);
    expect(report.contexts["trace"]).toEqual({ trace_id: "ab".repeat(16), span_id: "cd".repeat(8) });
    expect(report.tags).toMatchObject({ request_id: made, trace_id: "ab".repeat(16) });
    expect(reportOf(new Error("x"), { ...about, requestId: "ann.of.green.gables" }, origin).tags).not.toHaveProperty("request_id");
  });

  it("holds nothing of what was thrown but what may be told, whatever it is", () => {
    const thrown = oneof(
      anything(),
      dictionary(string(), anything()).map((members) => Object.assign(new Error("x"), members)),
    );
    assert(
      property(thrown, (error) => {
        const report = reportOf(error, about, origin);
        expect(Object.keys(report).toSorted()).toEqual(
          ["contexts", "exception", "extra", "level", "platform", "release", "server_name", "tags"].toSorted(),
        );
        for (const { type, value } of report.exception.values) {
          expect(type).toMatch(/^(?:thrown )?[A-Za-z]{1,60}$/);
          expect(value).toMatch(/^\((?:the log has the words|not an Error)\)$/);
        }
      }),
    );
  });
});

const withOwn = (stack: string): Frame[] => framesOf(stack).map((frame) => ({ ...frame, in_app: true }));
const reportAt = (line: number): Report =>
  reportOf(withStack(new Error("x"), `run (/srv/app/services/a.ts:${line}:1)`), about, { ...origin, framesOf: withOwn });

describe("reports of a process", () => {
  it("say the same mistake once a minute, and how many times it was left out", () => {
    const moderation = new Moderation();
    const admitted = [0, 1000, 59_000, 61_000].map((now) => moderation.admit(reportAt(1), now)?.extra);
    expect(admitted).toEqual([{}, undefined, undefined, { untold: 2 }]);
  });

  it("say twenty different ones at once, and one more every half minute", () => {
    const moderation = new Moderation();
    const told = (from: number, count: number, now: number): number =>
      Array.from({ length: count }, (_, n) => moderation.admit(reportAt(from + n), now)).filter(Boolean).length;
    expect([told(0, 50, 0), told(100, 50, 29_000), told(200, 50, 31_000), told(300, 50, 91_000)]).toEqual([20, 0, 1, 2]);
  });
});
