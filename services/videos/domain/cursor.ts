/** Where a page of a list ended. Opaque for clients, so that what it holds may change. */
import { failure } from "../../kernel/errors.ts";
import { uuid } from "../../kernel/schemas.ts";

export interface Position {
  /** When the last video of the page was made: microseconds since 1970, as PostgreSQL counts. Milliseconds would skip or repeat videos. */
  readonly createdUs: string;
  readonly id: string;
}

const shape = /^([0-9]{1,16})\.([0-9a-f-]{36})$/;

export function encodeCursor({ createdUs, id }: Position): string {
  return Buffer.from(`${createdUs}.${id}`).toString("base64url");
}

/** INVALID_REQUEST for what `encodeCursor` never made. */
export function decodeCursor(cursor: string): Position {
  const [, createdUs, id] = shape.exec(Buffer.from(cursor, "base64url").toString("latin1")) ?? [];
  if (createdUs !== undefined && id !== undefined && uuid.safeParse(id).success) return { createdUs, id };
  throw failure("INVALID_REQUEST", "The cursor is not one of this list: begin again without it.", {
    fields: [{ path: "cursor", message: "must be the nextCursor of an earlier page" }],
  });
}
