/** Where a page of a list ended. Opaque for clients, so that what it holds may change. */
import { z } from "zod";
import { failure } from "../../kernel/errors.ts";
import { uuid } from "../../kernel/schemas.ts";
import type { Order, SortKey } from "./listing.ts";

export interface Position {
  /** What the last video of the page was sorted by, as PostgreSQL writes it. */
  readonly key: string;
  readonly id: string;
}

const number = z.string().regex(/^[0-9]{1,12}(?:\.[0-9]{1,25})?(?:e[+-]?[0-9]{1,2})?$/);

/** Whatever is let through here, a column can be compared with. */
const shapes: Readonly<Record<SortKey, z.ZodString>> = {
  /** Microseconds since 1970, as PostgreSQL counts. Milliseconds would skip or repeat videos. */
  createdAt: z.string().regex(/^[0-9]{1,16}$/),
  title: z
    .string()
    .max(400)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u),
  duration: number,
  views: z.string().regex(/^[0-9]{1,18}$/),
  /** As for createdAt, and more where the title has the words. */
  relevance: z.string().regex(/^[0-9]{1,18}$/),
};

export function encodeCursor({ key, descending }: Order, position: Position): string {
  return Buffer.from(JSON.stringify([key, descending, position.key, position.id])).toString("base64url");
}

/** INVALID_REQUEST for what `encodeCursor` never made for a list in this order. */
export function decodeCursor({ key, descending }: Order, cursor: string): Position {
  const shape = z.tuple([z.literal(key), z.literal(descending), shapes[key], uuid]);
  const parsed = shape.safeParse(jsonOf(Buffer.from(cursor, "base64url").toString()));
  if (parsed.success) return { key: parsed.data[2], id: parsed.data[3] };
  throw failure("INVALID_REQUEST", "The cursor is not one of this list in this order: begin again without it.", {
    fields: [{ path: "cursor", message: "must be the nextCursor of an earlier page, with the same sort" }],
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
