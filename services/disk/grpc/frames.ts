/**
 * Memory that a chunk is read into and sent from, without a copy: the bytes of the file lie behind the head of the protobuf message, and that
 * behind the head of the gRPC frame. grpc-js would make a new frame for each message and copy into it: 2.0 instead of 1.2 s of CPU a
 * gigabyte read, hash included.
 */
import type { ServerInterceptor } from "@grpc/grpc-js";
import { dataHead, exchangeHead, exchangeRest } from "../../../proto/disk.ts";
import type { ExchangeResponse } from "../../../proto/gen/tritontube/disk/v1/disk.ts";
import { MESSAGE_BYTES } from "../../kernel/limits.ts";

/** Compressed flag (1 byte, 0) and length (4 bytes) of a gRPC frame. */
const FRAME_HEAD_BYTES = 5;
/** That, and the largest head of a message: an exchange tells a number, a size and five sums before its data. */
const HEADS_BYTES = 64;
/** 8 MiB of frames stay with the process; more are made when needed and not kept. */
const KEPT_MAX = 32;

/** A data message that knows what it looks like on the wire. */
export class FramedData {
  readonly part: { readonly $case: "data"; value: Buffer };
  readonly frame: Buffer;

  constructor(value: Buffer, frame: Buffer) {
    this.part = { $case: "data", value };
    this.frame = frame;
  }
}

/** So does this one. */
class FramedAnswer implements ExchangeResponse {
  readonly number: number;
  readonly answer: ExchangeResponse["answer"];
  readonly data: Buffer;
  readonly frame: Buffer;

  constructor({ number, answer, data }: ExchangeResponse, frame: Buffer) {
    this.number = number;
    this.answer = answer;
    this.data = data;
    this.frame = frame;
  }
}

export class Frame {
  readonly #memory = Buffer.allocUnsafeSlow(HEADS_BYTES + MESSAGE_BYTES);

  /** A message of `length` bytes, still to be filled. It lives in this frame: one at a time. */
  data(length: number): FramedData {
    return new FramedData(this.bytes(length), this.#framed(dataHead(length), length));
  }

  /** Where the payload of a message lies. */
  bytes(length: number): Buffer {
    return this.#memory.subarray(HEADS_BYTES, HEADS_BYTES + length);
  }

  /** The answer whose data lie here already. */
  answer(message: ExchangeResponse): ExchangeResponse {
    return new FramedAnswer(message, this.#framed(exchangeHead(exchangeRest(message), message.data.length), message.data.length));
  }

  #framed(head: Buffer, length: number): Buffer {
    const frame = this.#memory.subarray(HEADS_BYTES - head.length - FRAME_HEAD_BYTES, HEADS_BYTES + length);
    frame.writeUInt8(0, 0);
    frame.writeUInt32BE(head.length + length, 1);
    head.copy(frame, FRAME_HEAD_BYTES);
    return frame;
  }
}

/** Frames used again: the kernel clears each new page, which costs as much as a copy. */
export class Frames {
  readonly #kept: Frame[] = [];

  take(): Frame {
    return this.#kept.pop() ?? new Frame();
  }

  /** Only a frame that nothing reads any more: every write from it has been called back. */
  give(frame: Frame): void {
    if (this.#kept.length < KEPT_MAX) this.#kept.push(frame);
  }
}

/** The one private member of grpc-js's server call that this needs; without it messages are framed as ever, with a copy. */
interface Internals {
  serializeMessage?: (message: unknown) => Buffer;
}

/** Lets framed messages pass as they are. */
export const sendFramesAsTheyAre: ServerInterceptor = (_method, call) => {
  const internals = call as Internals;
  const stock = internals.serializeMessage;
  if (stock)
    internals.serializeMessage = (message) =>
      message instanceof FramedData || message instanceof FramedAnswer ? message.frame : stock.call(call, message);
  return call as ReturnType<ServerInterceptor>;
};
