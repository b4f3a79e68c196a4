/** A small body, read whole: the JSON that a request brings. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { errorType, failure } from "../../kernel/errors.ts";
import { openBody } from "./body.ts";

/** A hundred ids, or a description of 5000 characters with each of them escaped, and room. */
const JSON_BYTES_MAX = 64 * 1024;
/** Whoever needs longer for a few KB only holds a connection. */
const JSON_IDLE_MS = 10_000;

/** The value that the body is. UNSUPPORTED_MEDIA_TYPE, BODY_TOO_LARGE, INVALID_REQUEST. */
export async function readJson(req: IncomingMessage, res: ServerResponse): Promise<unknown> {
  if (isEmpty(req)) return {};
  const type = req.headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase();
  // A form of a foreign page can send text/plain, but never this without asking first (Fetch, 4.10).
  if (type !== "application/json") throw failure("UNSUPPORTED_MEDIA_TYPE", "Send the body as application/json.");
  try {
    const body = openBody(req, res, { bytesMax: JSON_BYTES_MAX, idleMs: JSON_IDLE_MS });
    const parts: Buffer[] = [];
    for await (const part of body as AsyncIterable<Buffer>) parts.push(part);
    return parse(Buffer.concat(parts));
  } catch (error) {
    if (errorType(error) !== "UPLOAD_TOO_LARGE") throw error;
    throw failure("BODY_TOO_LARGE", `This address takes at most ${JSON_BYTES_MAX} bytes.`);
  }
}

/** Whoever has nothing to say sends nothing: the schema knows whether that will do. */
function isEmpty({ headers }: IncomingMessage): boolean {
  return (
    headers["content-type"] === undefined && headers["transfer-encoding"] === undefined && Number(headers["content-length"] ?? 0) === 0
  );
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw failure("INVALID_REQUEST", "The body is not JSON in UTF-8.", { cause: error });
  }
}
