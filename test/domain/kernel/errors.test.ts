import { ERRORS, errorType, failure, messageOf, TritonError, type ErrorType } from "../../../services/kernel/errors.ts";

const rows = Object.entries(ERRORS);

it("is a row of the table that happened, with words for a person", () => {
  const cause = new Error("ECONNREFUSED");
  const error = failure("DISK_UNAVAILABLE", "Disk 7 does not answer.", { cause, data: { disk: "7" } });
  expect(error).toBeInstanceOf(TritonError);
  expect(error).toMatchObject({
    name: "TritonError",
    type: "DISK_UNAVAILABLE",
    code: 503,
    retryable: true,
    message: "Disk 7 does not answer.",
  });
  expect(error).toMatchObject({ cause, data: { disk: "7" } });
});

it("carries the fields that validation refused", () => {
  const fields = [{ path: "set.title", message: "must not be empty" }];
  expect(failure("INVALID_REQUEST", "no", { fields }).data).toEqual({ fields });
});

it("is known by its type, also when a broker has made a plain object of it", () => {
  expect(errorType(failure("JOB_LOST", "gone"))).toBe("JOB_LOST");
  expect(errorType({ name: "Error", type: "JOB_LOST" })).toBe("JOB_LOST");
});

it.each([[null], [undefined], ["JOB_LOST"], [new Error("x")], [{ type: "toString" }], [{ type: "SERVICE_NOT_FOUND" }], [{ type: 7 }]])(
  "does not take %p for one of ours",
  (thrown) => {
    expect(errorType(thrown)).toBeUndefined();
  },
);

it("says what any thrown value says of itself", () => {
  expect([messageOf(new Error("full")), messageOf("full"), messageOf(undefined)]).toEqual(["full", "full", "undefined"]);
});

describe("the table", () => {
  it.each(rows)("has a row for %s that HTTP, gRPC and a person understand", (type, { status, grpc, title }) => {
    expect(type).toMatch(/^[A-Z]+(?:_[A-Z]+)*$/);
    expect(status >= 400 && status < 600).toBe(true);
    expect(grpc >= 1 && grpc <= 16).toBe(true);
    expect(title).toMatch(/^[A-Z].*[^.]\.$/);
  });

  it("never asks a client to try again for what is not there", () => {
    const missing = rows.filter(([type]) => type.endsWith("_NOT_FOUND")).filter(([, { status, retryable }]) => status !== 404 || retryable);
    expect(missing).toEqual([]);
  });

  it("asks a client to come back only with a status that means it", () => {
    const again = rows.filter(([, { retryable }]) => retryable).map(([type]) => type as ErrorType);
    expect(again.filter((type) => ![400, 408, 409, 429, 500, 503, 507].includes(ERRORS[type].status))).toEqual([]);
  });
});
