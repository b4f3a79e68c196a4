/** The body of an upload on its way in: counted, watched, and ended for everyone when it ends for one. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Transform, type Readable, type TransformCallback } from "node:stream";
import { failure } from "../../kernel/errors.ts";
import { isHttp2 } from "./reply.ts";

export interface BodyLimits {
  /** More than this is UPLOAD_TOO_LARGE: at once if the client says so itself, else when it happens. */
  readonly bytesMax: number;
  /** What the body's form may add to that. */
  readonly overheadBytes?: number;
  /** A client that sends nothing for this long, while it could, is UPLOAD_STALLED. */
  readonly idleMs: number;
}

/** Nothing is inflated here, so that a few bytes cannot become many. UNSUPPORTED_MEDIA_TYPE. */
export function refuseEncoded({ headers }: IncomingMessage): void {
  if (headers["content-encoding"] === undefined) return;
  throw failure("UNSUPPORTED_MEDIA_TYPE", "Send the body without a Content-Encoding.");
}

/**
 * Starts to take a body in. Whatever ends it too early (the client's going, silence, too many bytes) destroys the stream with a failure of the
 * table. Destroying the stream leaves the request itself alone, so that an answer can still be given.
 */
export function openBody(req: IncomingMessage, res: ServerResponse, limits: BodyLimits): Readable {
  refuseEncoded(req);
  const declared = req.headers["content-length"];
  if (declared !== undefined && isTooLarge(Number(declared), limits)) throw tooLarge(limits);
  const body = new Meter(limits);
  // Whoever reads the body learns of its error from the body; until somebody does, it must not end the process.
  body.on("error", () => {});
  req.on("error", () => {});
  onCut(req, () => body.destroy(failure("UPLOAD_ABORTED", "The connection was closed before the body was whole.")));
  if (/100-continue/i.test(req.headers.expect ?? "")) res.writeContinue();
  return req.pipe(body);
}

/** Calls back when the body will not be whole any more, also when that was so before: whoever waited before it asked for the body may come too late. */
function onCut(req: IncomingMessage, cut: () => void): void {
  if (isHttp2(req)) {
    // Node calls a cancelled stream complete, and ends its body like one that is whole: "aborted" comes before that end.
    if (req.aborted) cut();
    else req.once("aborted", () => req.readableEnded || cut());
    return;
  }
  const close = (): void => void (req.complete || cut());
  if (req.destroyed) close();
  else req.once("close", close);
}

function isTooLarge(bytes: number, { bytesMax, overheadBytes = 0 }: BodyLimits): boolean {
  return bytes > bytesMax + overheadBytes;
}

function tooLarge({ bytesMax }: BodyLimits): Error {
  return failure("UPLOAD_TOO_LARGE", `At most ${bytesMax} bytes are taken here.`);
}

/**
 * A slower sender is no upload but a hold on memory: it takes one of few places and a buffer of 8 MiB. A telephone that
 * is throttled to 128 kbit/s sends twice this, and a whole minute forgives tunnels.
 */
const RATE_MIN = 8 * 1024;
const RATE_SECONDS = 60;

class Meter extends Transform {
  readonly #limits: BodyLimits;
  readonly #idle: NodeJS.Timeout;
  readonly #second: NodeJS.Timeout;
  #seen = 0;
  /** Seconds of the present minute in which we did read, and what had come before it. */
  #seconds = 0;
  #seenBefore = 0;

  constructor(limits: BodyLimits) {
    super();
    this.#limits = limits;
    this.#idle = setTimeout(() => this.#silence(), limits.idleMs);
    this.#second = setInterval(() => this.#measure(), 1000);
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#idle.refresh();
    this.#seen += chunk.length;
    if (isTooLarge(this.#seen, this.#limits)) done(tooLarge(this.#limits));
    else done(null, chunk);
  }

  override _flush(done: TransformCallback): void {
    this.#stopClocks();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#stopClocks();
    done(error);
  }

  #stopClocks(): void {
    clearTimeout(this.#idle);
    clearInterval(this.#second);
  }

  /** It is we who do not read on, or all has come: the disks are slow, and they have limits of their own. */
  get #waitsForUs(): boolean {
    return this.writableNeedDrain || this.writableEnded;
  }

  #measure(): void {
    if (this.#waitsForUs || ++this.#seconds < RATE_SECONDS) return;
    if (this.#seen - this.#seenBefore < RATE_MIN * RATE_SECONDS) {
      this.destroy(failure("UPLOAD_STALLED", `An upload sends at least ${RATE_MIN} bytes a second, averaged over ${RATE_SECONDS} s.`));
    }
    this.#seconds = 0;
    this.#seenBefore = this.#seen;
  }

  #silence(): void {
    if (this.#waitsForUs) this.#idle.refresh();
    else this.destroy(failure("UPLOAD_STALLED", `Nothing came for ${this.#limits.idleMs / 1000} s.`));
  }
}
