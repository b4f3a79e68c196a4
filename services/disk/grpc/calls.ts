/** Handlers as promises: what a handler throws becomes the status, and no call outlives its caller or its patience. */
import type { handleBidiStreamingCall, handleClientStreamingCall, handleServerStreamingCall, handleUnaryCall } from "@grpc/grpc-js";
import type { EventEmitter } from "node:events";
import type { ExchangeRequest, ExchangeResponse } from "../../../proto/gen/tritontube/disk/v1/disk.ts";
import { errorType, failure } from "../../kernel/errors.ts";
import { Permits } from "../../kernel/permits.ts";
import { type Answering, Exchanges } from "./exchange.ts";
import { type Status, statusOf } from "./status.ts";

/** A peer that neither takes nor sends anything for this long is gone, or might as well be. */
const IDLE_MS = 30_000;
/** Calls at once, of all connections: what a stalled reader holds is about a megabyte. */
const CALLS_MAX = 256;
/** Uploads that are read from at once: grpc-js reads up to sixteen messages, 4 MiB, ahead of each. The others wait unread. */
const UPLOADS_MAX = 16;

type Failed = (path: string, error: unknown) => void;
/** Restarts the patience with a call. */
type Progressed = () => void;

export class Calls {
  readonly #failed: Failed;
  readonly #uploads = new Permits(UPLOADS_MAX);
  readonly #exchanges = new Exchanges();
  #running = 0;

  /** `failed` is told of every failure, with the cause that the caller is not told. */
  constructor(failed: Failed) {
    this.#failed = failed;
  }

  unary<Q, R>(handler: (request: Q) => Promise<R>): handleUnaryCall<Q, R> {
    return (call, callback) =>
      void answer(
        this.#run(call.getPath(), () => handler(call.request)),
        callback,
      );
  }

  /** The end of `messages` says nothing: a cancelled call ends like a finished one. */
  upload<Q, R>(handler: (messages: AsyncIterable<Q>) => Promise<R>): handleClientStreamingCall<Q, R> {
    return (call, callback) => {
      const work = (progressed: Progressed, gone: Promise<never>) => {
        gone.catch((reason: Error) => call.destroy(reason));
        // Whoever has heard enough leaves: an iterator of its own would make an error for that, and grpc-js another one.
        return handler(watched(call.iterator({ destroyOnReturn: false }), progressed)).finally(() => call.destroy());
      };
      void answer(
        this.#run(call.getPath(), () => this.#uploads.use(() => withPatience(call, work))),
        callback,
      );
    };
  }

  /** `send` is done when the message has left this process. */
  download<Q, R>(handler: (request: Q, send: (message: R) => Promise<void>) => Promise<void>): handleServerStreamingCall<Q, R> {
    return (call) => {
      const work = (progressed: Progressed, gone: Promise<never>) =>
        handler(call.request, async (message) => {
          // grpc-js never calls back for a write on a cancelled call.
          await Promise.race([gone, new Promise<void>((resolve, reject) => call.write(message, settle(resolve, reject)))]);
          progressed();
        });
      void answer(
        this.#run(call.getPath(), () => withPatience(call, work)),
        (status) => (status ? call.emit("error", status) : call.end()),
      );
    };
  }

  /** Each request counts like a call. */
  exchange(answering: Answering): handleBidiStreamingCall<ExchangeRequest, ExchangeResponse> {
    return (call) =>
      this.#exchanges.serve(call, {
        answering: (request) =>
          request.asked?.$case === "put" ? this.#uploads.use(() => unlessGone(call, () => answering(request))) : answering(request),
        placing: (work) => this.#run(call.getPath(), work),
      });
  }

  /** No exchange takes another request. */
  endExchanges(): void {
    this.#exchanges.close();
  }

  async #run<R>(path: string, work: () => Promise<R>): Promise<R> {
    if (this.#running >= CALLS_MAX) throw failure("TOO_BUSY", `The disk has ${CALLS_MAX} calls at once.`);
    this.#running += 1;
    try {
      return await work();
    } catch (error) {
      this.#failed(path, error);
      throw error;
    } finally {
      this.#running -= 1;
    }
  }
}

async function answer<R>(outcome: Promise<R>, callback: (status: Status | null, result?: R) => void): Promise<void> {
  let result: R;
  try {
    result = await outcome;
  } catch (error) {
    callback(statusOf(error));
    return;
  }
  callback(null, result);
}

/** Who waited in line may have left meanwhile. */
async function unlessGone<T>(call: { readonly cancelled: boolean }, work: () => Promise<T>): Promise<T> {
  if (call.cancelled) throw failure("UPLOAD_ABORTED", "The caller is gone.");
  return await work();
}

function settle(resolve: () => void, reject: (error: Error) => void) {
  return (error?: Error | null) => (error ? reject(error) : resolve());
}

async function* watched<Q>(messages: AsyncIterable<Q>, progressed: Progressed): AsyncGenerator<Q> {
  try {
    for await (const message of messages) {
      progressed();
      yield message;
    }
  } catch (error) {
    throw errorType(error) ? error : failure("UPLOAD_ABORTED", "The caller is gone.", { cause: error });
  }
}

/** Runs `work` with a promise that is rejected as soon as the caller is gone, or nothing has moved for too long. */
async function withPatience<R>(call: EventEmitter, work: (progressed: Progressed, gone: Promise<never>) => Promise<R>): Promise<R> {
  const { promise: gone, reject } = Promise.withResolvers<never>();
  // Nobody may be racing against it when it happens.
  gone.catch(() => undefined);
  const cancelled = () => reject(failure("UPLOAD_ABORTED", "The caller is gone."));
  const patience = setTimeout(() => reject(failure("UPLOAD_STALLED", `Nothing moved for ${IDLE_MS} ms.`)), IDLE_MS);
  call.once("cancelled", cancelled);
  try {
    return await work(() => patience.refresh(), gone);
  } finally {
    clearTimeout(patience);
    call.off("cancelled", cancelled);
  }
}
