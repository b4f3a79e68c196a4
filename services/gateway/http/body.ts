/** The body of an upload on its way in: counted, watched, and ended for everyone when it ends for one. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Transform, type Readable, type TransformCallback } from "node:stream";
import { failure } from "../../kernel/errors.ts";

export interface BodyLimits {
  /** More than this is UPLOAD_TOO_LARGE: at once if the client says so itself, else when it happens. */
  readonly bytesMax: number;
  /** What the body's form may add to that. */
  readonly overheadBytes?: number;
  /** A client that sends nothing for this long, while it could, is UPLOAD_STALLED. */
  readonly idleMs: number;
}

/**
 * Starts to take a body in. Whatever ends it too early (the client's going, silence, too many bytes) destroys the stream with a failure of the
 * table. Destroying the stream leaves the request itself alone, so that an answer can still be given.
 */
export function openBody(req: IncomingMessage, res: ServerResponse, limits: BodyLimits): Readable {
  const declared = req.headers["content-length"];
  if (declared !== undefined && isTooLarge(Number(declared), limits)) throw tooLarge(limits);
  const body = new Meter(limits);
  // Whoever reads the body learns of its error from the body; until somebody does, it must not end the process.
  body.on("error", () => {});
  req.on("error", () => {});
  req.once("close", () => {
    if (!req.complete) body.destroy(failure("UPLOAD_ABORTED", "The connection was closed before the body was whole."));
  });
  if (/100-continue/i.test(req.headers.expect ?? "")) res.writeContinue();
  return req.pipe(body);
}

function isTooLarge(bytes: number, { bytesMax, overheadBytes = 0 }: BodyLimits): boolean {
  return bytes > bytesMax + overheadBytes;
}

function tooLarge({ bytesMax }: BodyLimits): Error {
  return failure("UPLOAD_TOO_LARGE", `An upload may have at most ${bytesMax} bytes.`);
}

class Meter extends Transform {
  readonly #limits: BodyLimits;
  readonly #idle: NodeJS.Timeout;
  #seen = 0;

  constructor(limits: BodyLimits) {
    super();
    this.#limits = limits;
    this.#idle = setTimeout(() => this.#silence(), limits.idleMs);
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#idle.refresh();
    this.#seen += chunk.length;
    if (isTooLarge(this.#seen, this.#limits)) done(tooLarge(this.#limits));
    else done(null, chunk);
  }

  override _flush(done: TransformCallback): void {
    clearTimeout(this.#idle);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#idle);
    done(error);
  }

  /** Nothing came. When it is we who do not read on, the disks are slow, and they have limits of their own. */
  #silence(): void {
    if (this.writableNeedDrain) this.#idle.refresh();
    else this.destroy(failure("UPLOAD_STALLED", `Nothing came for ${this.#limits.idleMs / 1000} s.`));
  }
}
