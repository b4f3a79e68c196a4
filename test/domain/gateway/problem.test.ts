import { Errors } from "moleculer";
import { problemHeaders, problemOf } from "../../../services/gateway/domain/problem.ts";
import { ERRORS, failure, type ErrorType } from "../../../services/kernel/errors.ts";

const request = { id: "request-1", path: "/api/v1/videos/x" };
const secrets = /select \*|\/var\/lib|node_modules|at Object|\.ts:/;

describe("a problem document", () => {
  it("tells a client what it did wrong, in the words of whoever noticed", () => {
    const error = failure("INVALID_REQUEST", "The request is not valid: page is too large.", {
      fields: [{ path: "page", message: "is too large" }],
    });
    expect(problemOf(error, request)).toEqual({
      type: "urn:tritontube:error:INVALID_REQUEST",
      title: "The request is not valid.",
      status: 400,
      detail: "The request is not valid: page is too large.",
      instance: "/api/v1/videos/x",
      code: "INVALID_REQUEST",
      requestId: "request-1",
      errors: [{ path: "page", message: "is too large" }],
    });
  });

  const types = Object.keys(ERRORS) as ErrorType[];

  it.each(types)("has the status and the word of the table: %s", (type) => {
    expect(problemOf(failure(type, "Why."), request)).toMatchObject({ status: ERRORS[type].status, code: type, title: ERRORS[type].title });
  });

  it.each(types.filter((type) => ERRORS[type].status >= 500))("says nothing of the inside of a server: %s", (type) => {
    const error = failure(type, "select * from videos; /var/lib/tritontube", { cause: new Error("inside"), data: { path: "/var/lib" } });
    expect(JSON.stringify(problemOf(error, request))).not.toMatch(secrets);
  });

  it.each([
    new Error("select * from videos"),
    Object.assign(new Error("ENOENT: /var/lib/tritontube"), { code: "ENOENT", type: "toString" }),
    "a string",
    null,
    undefined,
    { type: "constructor" },
  ])("calls anything unknown a mistake of the server, without its words: %p", (error) => {
    const problem = problemOf(error, request);
    expect(problem.code).toBe("INTERNAL");
    expect(problem.status).toBe(500);
    expect(JSON.stringify(problem)).not.toMatch(secrets);
  });

  it("knows an error again that crossed the broker and lost its class", () => {
    const far = Object.assign(new Error("There is no video."), { type: "VIDEO_NOT_FOUND", code: 404 });
    expect(problemOf(far, request)).toMatchObject({ code: "VIDEO_NOT_FOUND", status: 404, detail: "There is no video." });
  });

  it.each([
    [new Errors.ServiceNotFoundError({ action: "videos.get" }), "SERVICE_UNAVAILABLE", 503],
    [new Errors.ServiceNotAvailableError({ action: "videos.get" }), "SERVICE_UNAVAILABLE", 503],
    [new Errors.RequestTimeoutError({ action: "videos.get", nodeID: "n" }), "SERVICE_UNAVAILABLE", 503],
    [new Errors.RequestRejectedError({ action: "videos.get", nodeID: "n" }), "SERVICE_UNAVAILABLE", 503],
    [new Errors.QueueIsFullError({ action: "videos.get", nodeID: "n" }), "TOO_BUSY", 503],
  ])("translates what the broker says: %p", (error, code, status) => {
    const problem = problemOf(error, request);
    expect(problem).toMatchObject({ code, status });
    expect(JSON.stringify(problem)).not.toContain("videos.get");
  });

  it("says when to come back, if coming back may help", () => {
    expect(problemHeaders({ status: 503, code: "TOO_BUSY" })).toEqual({ "Retry-After": "5" });
    expect(problemHeaders({ status: 503, code: "VIDEO_SEGMENT_PENDING" })).toEqual({ "Retry-After": "1" });
    expect(problemHeaders({ status: 404, code: "VIDEO_NOT_FOUND" })).toEqual({});
  });

  it("keeps an odd path printable", () => {
    expect(problemOf(null, { id: "r", path: "/a b\u0000é\ud800" }).instance).toBe("/a%20b%00%C3%A9%EF%BF%BD");
  });
});
