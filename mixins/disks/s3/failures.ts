/** What an error of S3, or of the way to it, means. */
import { type ErrorType, errorType, failure } from "../../../services/kernel/errors.ts";

interface S3Error {
  readonly name?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

const ROWS: Readonly<Record<number, ErrorType>> = {
  401: "DISK_UNAUTHENTICATED",
  403: "DISK_UNAUTHENTICATED",
  404: "CHUNK_NOT_FOUND",
  416: "RANGE_NOT_SATISFIABLE",
  429: "TOO_BUSY",
};
/** S3's own word for 503. */
const BUSY = "SlowDown";

export function statusOf(error: unknown): number | undefined {
  return (error as S3Error).$metadata?.httpStatusCode;
}

/** As a row of the table. The signal's reason stays what it is. */
export function failureOf(error: unknown, place: string, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason;
  if (errorType(error)) return error;
  const { name, message } = error as S3Error;
  const type = name === BUSY ? "TOO_BUSY" : (ROWS[statusOf(error) ?? 0] ?? "DISK_UNAVAILABLE");
  return failure(type, `${place}: ${name}: ${message}`, { cause: error, data: { address: place } });
}
