/** Every error as the document that a client gets (RFC 9457). Nothing else of an error leaves the server: no stack, no SQL, no path. */
import { ERRORS, errorType, messageOf, type ErrorType, type FieldError } from "../../kernel/errors.ts";

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance: string;
  /** Stable word of the closed table: what programs branch on. */
  readonly code: ErrorType;
  readonly requestId: string;
  /** What validation refused, one entry a field. */
  readonly errors?: readonly FieldError[];
}

/** What the broker and moleculer-web say in their own words. Anything else that is not of our table is a bug. */
const foreign: Readonly<Record<string, ErrorType>> = {
  SERVICE_NOT_FOUND: "SERVICE_UNAVAILABLE",
  SERVICE_NOT_AVAILABLE: "SERVICE_UNAVAILABLE",
  REQUEST_TIMEOUT: "SERVICE_UNAVAILABLE",
  REQUEST_REJECTED: "SERVICE_UNAVAILABLE",
  QUEUE_FULL: "TOO_BUSY",
  UNABLE_DECODE_PARAM: "INVALID_REQUEST",
};

/** Seconds after which a refused client may ask again: longer than a node takes to be replaced by another, shorter than patience. */
const RETRY_AFTER_S = 5;
/** A segment that is waited for may be there at any moment. */
const SEGMENT_RETRY_AFTER_S = 1;

/** The row of the error table that a thrown value stands for. */
function problemType(error: unknown): ErrorType {
  const type = (error as { type?: unknown } | null | undefined)?.type;
  return errorType(error) ?? (typeof type === "string" && Object.hasOwn(foreign, type) ? foreign[type] : undefined) ?? "INTERNAL";
}

/** Whether an error says that whoever was asked is away, and nothing about what was asked for. */
export function isAway(error: unknown): boolean {
  return AWAY.has(problemType(error));
}

const AWAY: ReadonlySet<ErrorType> = new Set<ErrorType>(["SERVICE_UNAVAILABLE", "DATABASE_UNAVAILABLE", "TOO_BUSY"]);

/** Makes the document. `path` is the request's target without its query, which may hold secrets. */
export function problemOf(error: unknown, request: { readonly id: string; readonly path: string }): Problem {
  const code = problemType(error);
  const { status, title } = ERRORS[code];
  const fields = fieldsOf(error);
  return {
    type: `urn:tritontube:error:${code}`,
    title,
    status,
    detail: detailOf(error, code),
    instance: printable(request.path),
    code,
    requestId: request.id,
    ...(fields.length > 0 ? { errors: fields } : {}),
  };
}

/** Headers that belong to a problem (RFC 9110, 10.2.3). */
export function problemHeaders({ status, code }: Pick<Problem, "status" | "code">, error?: unknown): Readonly<Record<string, string>> {
  const { retryAfterS } = (error as { data?: { retryAfterS?: unknown } } | null | undefined)?.data ?? {};
  const seconds = typeof retryAfterS === "number" ? retryAfterS : code === "VIDEO_SEGMENT_PENDING" ? SEGMENT_RETRY_AFTER_S : RETRY_AFTER_S;
  return status === 503 || status === 429 ? { "Retry-After": String(seconds) } : {};
}

/** A client's own mistake is explained in the words of whoever noticed it. Ours are not: those words may name disks, tables and files. */
function detailOf(error: unknown, code: ErrorType): string {
  const { status, title } = ERRORS[code];
  if (status < 500) return errorType(error) === undefined ? title : messageOf(error);
  return status === 500 ? "It was logged under this request id." : "Try again in some seconds.";
}

function fieldsOf(error: unknown): FieldError[] {
  const fields = (error as { data?: { fields?: unknown } } | null | undefined)?.data?.fields;
  if (!Array.isArray(fields)) return [];
  return (fields as FieldError[]).map(({ path, message }) => ({ path, message }));
}

function printable(path: string): string {
  return path.replace(/[^\x21-\x7e]/g, (character) => encodeURIComponent(character.toWellFormed()));
}
