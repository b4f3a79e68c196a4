/** What a gRPC error of a disk means: the row of the error table that the disk named, or that it cannot be reached. */
import type { ServiceError } from "@grpc/grpc-js";
import { ERROR_TRAILER } from "../../proto/disk.ts";
import { errorType, failure, type TritonError } from "../../services/kernel/errors.ts";

export function failureOf(error: ServiceError, address: string): TritonError {
  const type = errorType({ type: error.metadata?.get(ERROR_TRAILER)[0] });
  const detail = `Disk ${address}: ${error.details ?? error.message}`;
  // What names no row does not come from a disk's own hand: no connection, a deadline, a reset stream, something else at that address.
  return failure(type ?? "DISK_UNAVAILABLE", detail, { cause: error, data: { address } });
}
