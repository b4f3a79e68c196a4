/** Text becomes a third as long on its way; media are compressed already. */
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { ownBytes } from "../../kernel/bytes.ts";
import type { Encoding } from "../domain/accept.ts";

/** Below this an answer fits one packet anyway. */
const BYTES_MIN = 1024;
/** 4 costs as much as gzip's own default here and is a tenth shorter; 11 would take a second for a long manifest. */
const BROTLI_QUALITY = 4;

const TEXT = /^(?:text\/|application\/(?:json|problem\+json|dash\+xml|vnd\.apple\.mpegurl|manifest\+json)|image\/svg\+xml)/;

export function isCompressible(type: string, bytes: number): boolean {
  return bytes >= BYTES_MIN && TEXT.test(type);
}

const brotli = promisify(brotliCompress);
const deflate = promisify(gzip);

export async function compressed(bytes: Uint8Array, encoding: Encoding): Promise<Uint8Array> {
  if (encoding === "gzip") return ownBytes(await deflate(bytes));
  const params = { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  return ownBytes(await brotli(bytes, { params }));
}

/** By what was compressed: the page's files are the same objects for as long as the gateway runs, and a manifest goes with its answer. */
const made = new WeakMap<object, Map<Encoding, Promise<Uint8Array>>>();

/** The same, kept for as long as `of` is. */
export async function compressedOnce(of: object, encoding: Encoding, bytes: () => Promise<Uint8Array>): Promise<Uint8Array> {
  const known = made.get(of) ?? new Map<Encoding, Promise<Uint8Array>>();
  made.set(of, known);
  const before = known.get(encoding);
  if (before) return await before;
  const making = bytes().then(async (whole) => await compressed(whole, encoding));
  known.set(encoding, making);
  making.catch(() => known.delete(encoding));
  return await making;
}
