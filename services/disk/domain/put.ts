/**
 * The life of one PutChunk call. A server sees a cancelled stream as one that ended, so nothing but the last state stores anything:
 *
 *   opening ──header──► receiving ──data…──► receiving ──commit, all declared bytes are there──► committed
 */
import { failure } from "../../kernel/errors.ts";
import { assertChunkSize, hashOf } from "./chunk.ts";

export interface PutHeader {
  readonly hash: string;
  readonly size: number;
  readonly epoch: number;
}

export type PutState =
  /** Nothing came yet. */
  | { readonly name: "opening" }
  /** `received` bytes of `header.size` came. */
  | { readonly name: "receiving"; readonly header: PutHeader; readonly received: number }
  /** Every byte is there and the writer said so. */
  | { readonly name: "committed"; readonly header: PutHeader };

/** One message of the stream, as the protocol has it. */
export type PutPart =
  | { readonly $case: "header"; readonly value: { readonly sha256: Uint8Array; readonly size: number; readonly epoch: number } }
  | { readonly $case: "data"; readonly value: Uint8Array }
  | { readonly $case: "commit" };

export const opening: PutState = { name: "opening" };

/** The state after one more message. Throws INVALID_REQUEST for a message out of turn, LENGTH_MISMATCH for bytes too many or too few. */
export function advance(state: PutState, part: PutPart | undefined): PutState {
  switch (part?.$case) {
    case "header":
      if (state.name !== "opening") break;
      return { name: "receiving", header: headerOf(part.value), received: 0 };
    case "data":
      if (state.name !== "receiving") break;
      return receive(state, part.value.length);
    case "commit":
      if (state.name !== "receiving") break;
      return commit(state);
    case undefined:
      break;
  }
  throw failure("INVALID_REQUEST", `A ${part?.$case ?? "empty"} message does not belong here: the upload is ${state.name}.`);
}

function headerOf(header: { readonly sha256: Uint8Array; readonly size: number; readonly epoch: number }): PutHeader {
  assertChunkSize(header.size);
  return { hash: hashOf(header.sha256), size: header.size, epoch: header.epoch };
}

type Receiving = Extract<PutState, { name: "receiving" }>;

function receive(state: Receiving, bytes: number): PutState {
  const received = state.received + bytes;
  if (received > state.header.size) throw failure("LENGTH_MISMATCH", `More than the declared ${state.header.size} bytes came.`);
  return { ...state, received };
}

function commit(state: Receiving): PutState {
  if (state.received !== state.header.size) {
    throw failure("LENGTH_MISMATCH", `${state.received} of the declared ${state.header.size} bytes came before the commit.`);
  }
  return { name: "committed", header: state.header };
}
