/** gRPC calls as promises and iterations that always end: by an answer, a deadline, the caller's signal, or because nothing moves. */
import type { CallOptions, ClientReadableStream, ServiceError } from "@grpc/grpc-js";
import { failure } from "../../services/kernel/errors.ts";
import { failureOf } from "./failures.ts";

export interface CallLimits {
  readonly address: string;
  /** The end of a call, whatever moves. */
  readonly deadlineMs: number;
  /** The end of a call in which nothing has moved yet: a connection to a hung disk opens, and stays silent. */
  readonly firstMs: number;
  /** The end of a call in which nothing moves any more. */
  readonly idleMs: number;
  readonly signal: AbortSignal | undefined;
}

interface Cancellable {
  cancel(): void;
}

type Callback<R> = (error: ServiceError | null, response?: R) => void;
type Start<R> = (options: CallOptions, callback: Callback<R>, progressed: () => void) => Cancellable;

/** A call with one answer. Throws the signal's reason, or a failure. */
export async function ask<R>(limits: CallLimits, start: Start<R>): Promise<R> {
  const watch = new Watch(limits);
  const { promise, resolve, reject } = Promise.withResolvers<R>();
  try {
    // grpc-js calls back exactly once, at the deadline at the latest.
    watch.call = start(optionsOf(limits), (error, response) => (error ? reject(error) : resolve(response as R)), watch.progressed);
    return await promise;
  } catch (error) {
    throw watch.reasonOf(error);
  } finally {
    watch.end();
  }
}

/** A call with many answers. Throws the signal's reason, or a failure. Whoever stops iterating, or pauses for too long, cancels it. */
export async function* listen<R>(
  limits: CallLimits,
  start: (options: CallOptions) => ClientReadableStream<R>,
): AsyncGenerator<R, void, undefined> {
  const watch = new Watch(limits);
  const call = start(optionsOf(limits));
  watch.call = call;
  // A call emits its status as an error even after everybody has left.
  call.on("error", () => undefined);
  let ended = false;
  try {
    for await (const message of call) {
      watch.progressed();
      yield message as R;
    }
    ended = true;
  } catch (error) {
    throw watch.reasonOf(error);
  } finally {
    watch.end();
    // A call that has ended needs none: the disk would be sent a reset of a stream that it has closed.
    if (!ended) call.cancel();
  }
}

function optionsOf({ deadlineMs }: CallLimits): CallOptions {
  return { deadline: Date.now() + deadlineMs };
}

/** Cancels a call that its caller wants no more, or in which nothing moves, and knows why it did. */
class Watch {
  readonly #limits: CallLimits;
  #patience: NodeJS.Timeout | undefined;
  /** How long that is. */
  #ms = 0;
  #stopped: { readonly reason: unknown } | undefined;
  call: Cancellable | undefined;

  constructor(limits: CallLimits) {
    limits.signal?.throwIfAborted();
    this.#limits = limits;
    limits.signal?.addEventListener("abort", this.#aborted);
    this.#wait(limits.firstMs);
  }

  readonly progressed = (): void => {
    if (this.#ms === this.#limits.idleMs) this.#patience?.refresh();
    else this.#wait(this.#limits.idleMs);
  };

  reasonOf(error: unknown): unknown {
    return this.#stopped ? this.#stopped.reason : failureOf(error as ServiceError, this.#limits.address);
  }

  end(): void {
    clearTimeout(this.#patience);
    this.#limits.signal?.removeEventListener("abort", this.#aborted);
  }

  #wait(ms: number): void {
    const { address } = this.#limits;
    const stalled = () => this.#stop(failure("DISK_UNAVAILABLE", `Disk ${address}: nothing moved for ${ms} ms.`, { data: { address } }));
    clearTimeout(this.#patience);
    this.#patience = setTimeout(stalled, ms);
    this.#ms = ms;
  }

  readonly #aborted = (): void => this.#stop(this.#limits.signal?.reason);

  #stop(reason: unknown): void {
    this.#stopped ??= { reason };
    this.call?.cancel();
  }
}
