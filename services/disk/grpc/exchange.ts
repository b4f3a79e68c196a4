/** Many small requests over one call: each is answered when it is ready, whatever becomes of the others. */
import { type ServerDuplexStream, status } from "@grpc/grpc-js";
import { nameOfCall, outcomeOf } from "../../../proto/trace.ts";
import type { ExchangeRequest, ExchangeResponse } from "../../../proto/gen/tritontube/disk/v1/disk.ts";
import { ERRORS, errorType, failure, messageOf } from "../../kernel/errors.ts";
import { begin, StepKind } from "../../kernel/trace.ts";
import { asFailure, statusOf } from "./status.ts";

/** Of one call, taken at the same time. Others wait unread. */
const REQUESTS_MAX = 64;
/** A peer that takes no answer for this long is gone, or might as well be. */
const STALLED_MS = 30_000;
const NOTHING = Buffer.alloc(0);

export interface Answered {
  readonly message: ExchangeResponse;
  /** When it has left this process. */
  readonly sent?: () => void;
}
/** Fails as the call of its own would. */
export type Answering = (request: ExchangeRequest) => Promise<Answered>;
export interface Steps {
  readonly answering: Answering;
  /** Gives it a place among the calls of the disk, until its answer has left. */
  readonly placing: (work: () => Promise<void>) => Promise<void>;
}
type Call = ServerDuplexStream<ExchangeRequest, ExchangeResponse>;

export class Exchanges {
  readonly #open = new Set<Exchange>();
  #isClosed = false;

  serve(call: Call, steps: Steps): void {
    const exchange = new Exchange(call, steps);
    this.#open.add(exchange);
    const over = (): void => void this.#open.delete(exchange);
    call.once("finish", over).once("close", over);
    if (this.#isClosed) exchange.end();
  }

  /** Nobody is asked anything new; each call ends when what it was asked is answered. */
  close(): void {
    this.#isClosed = true;
    for (const exchange of this.#open) exchange.end();
  }
}

class Exchange {
  readonly #call: Call;
  readonly #steps: Steps;
  /** Requests that were taken, and whose answers have not left. */
  #running = 0;
  /** Of each answer on its way out, what waits for it. */
  readonly #leaving = new Set<() => void>();
  #patience: NodeJS.Timeout | undefined;
  #isEnding = false;

  constructor(call: Call, steps: Steps) {
    this.#call = call;
    this.#steps = steps;
    call.on("data", (request: ExchangeRequest) => void this.#take(request));
    call.on("end", () => this.end());
    // grpc-js never calls back for a write on a call that was cancelled.
    call.once("cancelled", () => {
      this.#isEnding = true;
      clearTimeout(this.#patience);
      for (const left of this.#leaving) left();
    });
  }

  end(): void {
    this.#isEnding = true;
    if (this.#running === 0) this.#call.end();
  }

  async #take(request: ExchangeRequest): Promise<void> {
    // Its sender learns from the end of the call that nobody has looked at it.
    if (this.#isEnding) return;
    if (++this.#running === REQUESTS_MAX) this.#call.pause();
    try {
      await this.#steps.placing(() => this.#work(request));
    } catch (error) {
      await this.#send({ message: refusal(request.number, error) });
    }
    if (this.#running-- === REQUESTS_MAX) this.#call.resume();
    if (this.#isEnding) this.end();
  }

  async #work(request: ExchangeRequest): Promise<void> {
    const { asked, traceparent } = request;
    const name = nameOfCall(asked?.$case === "put" ? "PutChunk" : "GetChunk");
    const step = traceparent === "" ? undefined : begin({ name, kind: StepKind.SERVER }, traceparent);
    try {
      const answered = await this.#steps.answering(request);
      step?.end(...outcomeOf(status.OK));
      await this.#send(answered);
    } catch (error) {
      step?.end(...outcomeOf(ERRORS[errorType(asFailure(error)) ?? "INTERNAL"].grpc));
      throw error;
    }
  }

  /** Done when it has left, or nobody is there to take it. */
  async #send({ message, sent }: Answered): Promise<void> {
    if (this.#call.cancelled) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#leaving.add(resolve);
    if (this.#leaving.size === 1) this.#wait();
    this.#call.write(message, (error?: Error | null) => {
      // What was not written may be written yet.
      if (!error) sent?.();
      resolve();
    });
    await promise;
    this.#leaving.delete(resolve);
    this.#wait();
  }

  /** From now on, while anything is on its way out. */
  #wait(): void {
    clearTimeout(this.#patience);
    if (this.#leaving.size > 0 && !this.#call.cancelled) this.#patience = setTimeout(() => this.#giveUp(), STALLED_MS);
  }

  #giveUp(): void {
    this.#isEnding = true;
    this.#call.emit("error", statusOf(failure("UPLOAD_STALLED", `No answer was taken for ${STALLED_MS} ms.`)));
  }
}

function refusal(number: number, error: unknown): ExchangeResponse {
  const told = asFailure(error);
  return { number, answer: { $case: "failure", value: { type: errorType(told) ?? "INTERNAL", details: messageOf(told) } }, data: NOTHING };
}
