/**
 * DiskService as both of its ends use it: the generated service, with bulk messages copied once instead of three times. Of 256 KiB of data,
 * ts-proto's encoder makes two copies before grpc-js makes its own for the frame, and its decoder makes one more: 1.6 s of CPU a gigabyte,
 * more than the whole transport. The bytes on the wire are the same, and messages that are not plain data go through the generated code.
 */
import { type ChannelCredentials, type ClientOptions, makeGenericClientConstructor } from "@grpc/grpc-js";
import {
  type DiskServiceClient,
  DiskServiceService,
  type ExchangeRequest,
  type ExchangeResponse,
  type GetChunkResponse,
  type PutChunkRequest,
} from "./gen/tritontube/disk/v1/disk.ts";

/** The trailer that names the row of the error table (services/kernel/errors.ts): two rows may share a gRPC code. */
export const ERROR_TRAILER = "tritontube-error";

/** The metadata that says which disk a call means, by its UUID. */
export const DISK_METADATA = "disk-id";

/** `bytes data = 2` in both bulk messages: field 2, wire type 2 (length-delimited). */
const DATA_TAG = (2 << 3) | 2;
/** `bytes data = 5` in both messages of an exchange. */
const EXCHANGED_TAG = (5 << 3) | 2;
const EMPTY = Buffer.alloc(0);
const VARINT_BITS = 7;

type Bulk = PutChunkRequest | GetChunkResponse;

/**
 * A data message as grpc-js 1.14 sees a Buffer when it frames one: it asks for the length and has it copied behind the five bytes of the
 * frame's head. So the payload is copied once, from where it lies into the frame.
 */
class DataMessage {
  readonly #head: Buffer;
  readonly #payload: Buffer;
  readonly length: number;
  readonly byteLength: number;

  constructor(head: Buffer, payload: Buffer) {
    this.#head = head;
    this.#payload = payload;
    this.length = this.#head.length + payload.length;
    this.byteLength = this.length;
  }

  copy(target: Buffer, at: number): number {
    return this.#head.copy(target, at) + this.#payload.copy(target, at + this.#head.length);
  }
}

/** What stands before the payload in a message that is nothing but data. */
export function dataHead(length: number): Buffer {
  return Buffer.from([DATA_TAG, ...varint(length)]);
}

/** What stands before the payload in a message of an exchange: all the rest of it. Fields may stand in any order (Protocol Buffers, encoding). */
export function exchangeHead(rest: Buffer, length: number): Buffer {
  return length === 0 ? rest : Buffer.concat([rest, Buffer.from([EXCHANGED_TAG, ...varint(length)])]);
}

/** A request as it goes over the wire. Throws for what cannot be encoded: within a call, grpc-js would cancel it. */
export function encodedRequest(message: ExchangeRequest): ExchangeRequest {
  const head = exchangeHead(exchange.requestSerialize({ ...message, data: EMPTY }), message.data.length);
  return new DataMessage(head, message.data) as unknown as ExchangeRequest;
}

/** Without its data. */
export function exchangeRest(message: ExchangeResponse): Buffer {
  return exchange.responseSerialize({ ...message, data: EMPTY });
}

function varint(value: number): number[] {
  return value < 1 << VARINT_BITS ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> VARINT_BITS)];
}

/** The payload, as a view, of a message that is one data field from its first to its last byte; undefined for any other message. */
export function dataOf(message: Buffer): Buffer | undefined {
  if (message[0] !== DATA_TAG) return undefined;
  let length = 0;
  for (let at = 1, shift = 0; at < message.length && at <= 4; at += 1, shift += VARINT_BITS) {
    const byte = message[at] ?? 0;
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) return at + 1 + length === message.length ? message.subarray(at + 1) : undefined;
  }
  return undefined;
}

function serializer<M extends Bulk>(stock: (message: M) => Buffer): (message: M) => Buffer {
  return (message) => {
    const { part } = message;
    return part?.$case === "data" ? (new DataMessage(dataHead(part.value.length), part.value) as unknown as Buffer) : stock(message);
  };
}

function deserializer<M extends Bulk>(stock: (bytes: Buffer) => M): (bytes: Buffer) => M | { part: { $case: "data"; value: Buffer } } {
  return (bytes) => {
    const value = dataOf(bytes);
    return value ? { part: { $case: "data", value } } : stock(bytes);
  };
}

const { putChunk, getChunk, exchange } = DiskServiceService;

/** What a server implements. */
export const diskService = {
  ...DiskServiceService,
  putChunk: {
    ...putChunk,
    requestSerialize: serializer<PutChunkRequest>(putChunk.requestSerialize),
    requestDeserialize: deserializer<PutChunkRequest>(putChunk.requestDeserialize),
  },
  getChunk: {
    ...getChunk,
    responseSerialize: serializer<GetChunkResponse>(getChunk.responseSerialize),
    responseDeserialize: deserializer<GetChunkResponse>(getChunk.responseDeserialize),
  },
  exchange: {
    ...exchange,
    requestSerialize: (message: ExchangeRequest) =>
      (message instanceof DataMessage ? message : encodedRequest(message)) as unknown as Buffer,
  },
} as const;

type DiskConnection = new (address: string, credentials: ChannelCredentials, options?: ClientOptions) => DiskServiceClient;

/** What a client connects with. */
export const DiskConnection = makeGenericClientConstructor(diskService, "tritontube.disk.v1.DiskService") as unknown as DiskConnection;
