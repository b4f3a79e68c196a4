/** Identifiers that the gateway gives out or takes over. */

/** A UUIDv7 (RFC 9562, 5.7): the time first, so that rows made one after the other lie beside each other. `entropy` is 10 random bytes. */
export function uuidV7(nowMs: number, entropy: Uint8Array): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes.set(entropy.subarray(0, 10), 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** A client's own request id, when it can stand in a log and in a trace as it is. */
export function acceptedRequestId(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" && /^[A-Za-z0-9._-]{8,64}$/.test(header) ? header : undefined;
}

/** The trace that a request belongs to (W3C Trace Context, 3.2): its id becomes that of the request, and so goes along through every call and log line. */
export function traceIdOf(traceparent: string | string[] | undefined): string | undefined {
  const [, id] = (typeof traceparent === "string" && /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/.exec(traceparent)) || [];
  return id === undefined || /^0+$/.test(id) ? undefined : id;
}
