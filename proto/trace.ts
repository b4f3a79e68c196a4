/** A call of DiskService as both of its ends tell it in a trace. */
import { status } from "@grpc/grpc-js";

/** The metadata that says which step of a trace a call belongs to (W3C Trace Context). */
export const TRACE_METADATA = "traceparent";

/** "/tritontube.disk.v1.DiskService/PutChunk" → "disk PutChunk". */
export function nameOfCall(path: string): string {
  return `disk ${path.slice(path.lastIndexOf("/") + 1)}`;
}

/** What is told of the end of a call, and what failed. Who wants no more of a call has had what they wanted. */
export function outcomeOf(code: status | null | undefined): [{ readonly "rpc.response.status_code": string }, string | undefined] {
  const name = status[code ?? status.OK];
  return [{ "rpc.response.status_code": name }, name === "OK" || name === "CANCELLED" ? undefined : name];
}
