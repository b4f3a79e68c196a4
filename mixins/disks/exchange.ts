/** Small requests to a disk over one call, for as long as somebody asks: to open a call costs both ends more than 100 KB do. */
import { AsyncLocalStorage } from "node:async_hooks";
import { type ClientDuplexStream, type ServiceError, status } from "@grpc/grpc-js";
import { encodedRequest } from "../../proto/disk.ts";
import type { ExchangeRequest, ExchangeResponse } from "../../proto/gen/tritontube/disk/v1/disk.ts";
import { nameOfCall, outcomeOf } from "../../proto/trace.ts";
import { ERRORS, errorType, failure, messageOf } from "../../services/kernel/errors.ts";
import { begin, isTraced, StepKind } from "../../services/kernel/trace.ts";
import type { CallLimits } from "./calls.ts";
import { failureOf } from "./failures.ts";

/** What a disk works on at the same time (services/disk/grpc/exchange.ts). Who comes then makes a call of its own. */
const REQUESTS_MAX = 64;
/** Of those, requests that nobody waits for any more, and that the disk may be busy with: a call with more of them is left for another. */
const ABANDONED_MAX = 8;
/** A call that nobody has needed for so long ends, and is cancelled when the disk does not say that it has. */
const IDLE_MS = 5000;
const ENDING_MS = 1000;
/** A disk that does not speak this is asked again after so long: it may be another version by then. */
const UNSPOKEN_MS = 60_000;
/** 32 bits, from 1. */
const NUMBER_MAX = 2 ** 32 - 1;

type Call = ClientDuplexStream<ExchangeRequest, ExchangeResponse>;
type Request = Pick<ExchangeRequest, "asked" | "data">;
export type Answer = Pick<ExchangeResponse, "answer" | "data">;
type Limits = Pick<CallLimits, "firstMs" | "idleMs" | "signal">;

/** A call outlives who opened it: what is kept of him (a trace, the id of a request) is not kept with it. */
const forEverybody = AsyncLocalStorage.snapshot();

export class Exchange {
  readonly #open: () => Call;
  readonly #address: string;
  #call: OpenCall | undefined;
  #unspokenUntil = 0;

  constructor(address: string, open: () => Call) {
    this.#address = address;
    this.#open = open;
  }

  /** Whether it is worth asking here. */
  get isReady(): boolean {
    return (this.#call === undefined || this.#call.isOver || this.#call.isFree) && performance.now() >= this.#unspokenUntil;
  }

  /** The answer; undefined when the disk does not speak this. Throws the signal's reason, or a failure. */
  async ask(request: Request, limits: Limits): Promise<Answer | undefined> {
    limits.signal?.throwIfAborted();
    const name = nameOfCall(request.asked?.$case === "put" ? "PutChunk" : "GetChunk");
    const step = isTraced() ? begin({ name, kind: StepKind.CLIENT }) : undefined;
    try {
      const answer = await this.#present().ask({ ...request, traceparent: step?.traceparent ?? "" }, limits);
      step?.end(...outcomeOf(status.OK));
      return answer;
    } catch (error) {
      step?.end(...outcomeOf(ERRORS[errorType(error) ?? "DISK_UNAVAILABLE"].grpc));
      if (error !== UNSPOKEN) throw error;
      this.#unspokenUntil = performance.now() + UNSPOKEN_MS;
      return undefined;
    }
  }

  /** What was asked is answered; nothing new is asked on this call. */
  close(): void {
    this.#call?.end();
  }

  #present(): OpenCall {
    if (this.#call?.isOver !== false) this.#call = forEverybody(() => new OpenCall(this.#address, this.#opened()));
    return this.#call;
  }

  #opened(): Call {
    try {
      return this.#open();
    } catch (error) {
      // The connection was closed.
      throw failure("DISK_UNAVAILABLE", `Disk ${this.#address}: ${messageOf(error)}`, { cause: error, data: { address: this.#address } });
    }
  }
}

const UNSPOKEN = new Error("The disk does not speak this.");

interface Waiting {
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

class OpenCall {
  readonly #address: string;
  readonly #call: Call;
  readonly #waiting = new Map<number, Waiting>();
  /** What was given up, and is not answered yet. */
  readonly #abandoned = new Set<number>();
  readonly #idle: NodeJS.Timeout;
  #last = 0;
  #hasAnswered = false;
  /** Nothing is asked here any more. */
  isOver = false;

  constructor(address: string, call: Call) {
    this.#address = address;
    this.#call = call;
    this.#idle = setTimeout(() => (this.#waiting.size === 0 ? this.end() : this.#idle.refresh()), IDLE_MS).unref();
    call.on("data", (answer: ExchangeResponse) => this.#take(answer));
    call.on("error", (error: ServiceError) => this.#fail(isUnspoken(error) ? UNSPOKEN : failureOf(error, address)));
    call.on("end", () => this.#fail(this.#unavailable("it ended the exchange.")));
  }

  get isFree(): boolean {
    return this.#waiting.size + this.#abandoned.size < REQUESTS_MAX;
  }

  async ask(request: Omit<ExchangeRequest, "number">, { firstMs, idleMs, signal }: Limits): Promise<Answer> {
    const number = (this.#last = (this.#last % NUMBER_MAX) + 1);
    // What cannot be encoded fails alone: grpc-js would cancel the call.
    const message = encodedRequest({ ...request, number });
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const silent = (ms: number) => setTimeout(() => reject(this.#unavailable(`nothing moved for ${ms} ms.`)), ms);
    let patience = silent(firstMs);
    const aborted = (): void => reject(signal?.reason as Error);
    signal?.addEventListener("abort", aborted);
    this.#waiting.set(number, { resolve, reject });
    this.#idle.refresh();
    this.#call.write(message, () => {
      if (request.asked?.$case !== "put" || !this.#waiting.has(number)) return;
      // Its bytes are on their way: a medium may need seconds in which nothing moves.
      clearTimeout(patience);
      patience = silent(idleMs);
    });
    try {
      return await promise;
    } finally {
      clearTimeout(patience);
      signal?.removeEventListener("abort", aborted);
      // Not answered: given up.
      if (this.#waiting.delete(number)) this.#abandon(number);
    }
  }

  /** What was asked is answered still. */
  end(): void {
    this.isOver = true;
    clearTimeout(this.#idle);
    if (this.#waiting.size === 0 && (!this.#hasAnswered || this.#abandoned.size > 0)) return this.#call.cancel();
    this.#call.end();
    if (this.#waiting.size === 0) setTimeout(() => this.#call.cancel(), ENDING_MS).unref();
  }

  /** The disk learns of it by the end of the call, as soon as nobody waits for anything else there. */
  #abandon(number: number): void {
    if (this.isOver && this.#waiting.size > 0) return;
    this.#abandoned.add(number);
    if (this.#waiting.size === 0 || this.#abandoned.size > ABANDONED_MAX) this.#leave();
  }

  #leave(): void {
    this.isOver = true;
    clearTimeout(this.#idle);
    if (this.#waiting.size === 0) this.#call.cancel();
  }

  /** Of a request that nobody waits for any more, too. */
  #take({ number, answer, data: bytes }: ExchangeResponse): void {
    this.#hasAnswered = true;
    this.#abandoned.delete(number);
    const waiting = this.#waiting.get(number);
    if (!waiting) return;
    this.#waiting.delete(number);
    if (this.isOver && this.#waiting.size === 0) this.#call.cancel();
    if (answer?.$case !== "failure") return waiting.resolve({ answer, data: bytes });
    const { type, details } = answer.value;
    const data = { address: this.#address };
    waiting.reject(failure(errorType({ type }) ?? "DISK_UNAVAILABLE", `Disk ${this.#address}: ${details}`, { data }));
  }

  #fail(error: unknown): void {
    this.isOver = true;
    clearTimeout(this.#idle);
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }

  #unavailable(what: string): Error {
    const address = this.#address;
    return failure("DISK_UNAVAILABLE", `Disk ${address}: ${what}`, { data: { address } });
  }
}

/** No row of ours: the server has no such method. */
function isUnspoken(error: ServiceError): boolean {
  return error.code === status.UNIMPLEMENTED;
}
