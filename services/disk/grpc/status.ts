/** How a failure leaves the disk: its gRPC code, its words, and its type in the trailers, from where the client takes it again. */
import { Metadata } from "@grpc/grpc-js";
import { ERROR_TRAILER } from "../../../proto/disk.ts";
import { ERRORS, errorType, failure, messageOf } from "../../kernel/errors.ts";
import { faultOf } from "../domain/faults.ts";

export interface Status {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

/** Whatever was thrown, as a row of the error table. Words of the operating system stay here: they name paths. */
export function asFailure(error: unknown): Error {
  if (errorType(error)) return error as Error;
  const fault = faultOf(error);
  return fault
    ? failure(fault, `The disk could not do it (${(error as NodeJS.ErrnoException).code}).`, { cause: error })
    : failure("INTERNAL", "The disk made a mistake.", { cause: error });
}

export function statusOf(error: unknown): Status {
  const told = asFailure(error);
  const type = errorType(told) ?? "INTERNAL";
  const metadata = new Metadata();
  metadata.set(ERROR_TRAILER, type);
  return { code: ERRORS[type].grpc, details: messageOf(told), metadata };
}
