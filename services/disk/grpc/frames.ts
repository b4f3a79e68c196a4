/**
 * Memory that a chunk is read into and sent from, without a copy: the bytes of the file lie behind the head of the protobuf message, and that
 * behind the head of the gRPC frame. grpc-js would make a new frame for each message and copy into it: 2.0 instead of 1.2 s of CPU a
 * gigabyte read, hash included.
 */
import type { ServerInterceptor } from "@grpc/grpc-js";
import { dataHead } from "../../../proto/disk.ts";
import { MESSAGE_BYTES } from "../../kernel/limits.ts";

/** Compressed flag (1 byte, 0) and length (4 bytes) of a gRPC frame; then tag and length of the largest data message. */
const FRAME_HEAD_BYTES = 5;
const HEADS_BYTES = FRAME_HEAD_BYTES + dataHead(MESSAGE_BYTES).length;
/** 8 MiB of frames stay with the process; more are made when needed and not kept. */
const KEPT_MAX = 32;

/** A data message that knows what it looks like on the wire. */
class FramedData {
  readonly part: { readonly $case: "data"; value: Buffer };
  readonly frame: Buffer;

  constructor(value: Buffer, frame: Buffer) {
    this.part = { $case: "data", value };
    this.frame = frame;
  }
}

export class Frame {
  readonly #memory = Buffer.allocUnsafeSlow(HEADS_BYTES + MESSAGE_BYTES);

  /** A message of `length` bytes, still to be filled. It lives in this frame: one at a time. */
  data(length: number): FramedData {
    const head = dataHead(length);
    const start = HEADS_BYTES - head.length - FRAME_HEAD_BYTES;
    const frame = this.#memory.subarray(start, HEADS_BYTES + length);
    frame.writeUInt8(0, 0);
    frame.writeUInt32BE(head.length + length, 1);
    head.copy(frame, FRAME_HEAD_BYTES);
    return new FramedData(frame.subarray(FRAME_HEAD_BYTES + head.length), frame);
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
  if (stock) internals.serializeMessage = (message) => (message instanceof FramedData ? message.frame : stock.call(call, message));
  return call as ReturnType<ServerInterceptor>;
};
