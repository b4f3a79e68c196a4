/** What players say of themselves along with a request: Common Media Client Data (CTA-5004), as a parameter of the query or as headers. */
import { createHash } from "node:crypto";
import { uuid } from "../../kernel/schemas.ts";

export const CMCD_HEADERS = ["cmcd-session", "cmcd-request", "cmcd-object", "cmcd-status"] as const;

export interface ClientData {
  /** A UUID, whatever the player calls it. */
  readonly session: string;
  /** Of what is asked for, bits a second. */
  readonly bitrate: number | undefined;
  /** Its buffer has run dry since the request before. */
  readonly starved: boolean;
}

/** Keys with or without a value; a text stands in quotation marks, and may hold a comma. */
const PAIR = /(?:^|,)\s*([a-z][a-z-]*)(?:=("(?:[^"\\]|\\.)*"|[^,"]*))?(?=,|$)/g;
/** CTA-5004, 3.2. */
const SESSION_LENGTH_MAX = 64;
const KBIT = 1000;
const KBITS_MAX = 10_000_000;

/** Undefined for who names no session: then it says nothing of anybody. What is not understood is left out, as the standard wants it. */
export function clientData(texts: readonly string[]): ClientData | undefined {
  const pairs = new Map(texts.flatMap((text) => [...text.matchAll(PAIR)].map(([, key = "", value]) => [key, value] as const)));
  const session = textOf(pairs.get("sid"));
  if (session === undefined || session === "" || session.length > SESSION_LENGTH_MAX) return undefined;
  const kbits = Number(pairs.get("br") ?? Number.NaN);
  return {
    session: sessionOf(session),
    bitrate: kbits >= 0 && kbits <= KBITS_MAX ? kbits * KBIT : undefined,
    starved: pairs.has("bs") && pairs.get("bs") === undefined,
  };
}

function textOf(value: string | undefined): string | undefined {
  return value?.startsWith('"') ? value.slice(1, -1).replaceAll(/\\(.)/g, "$1") : undefined;
}

/** A session is a UUID here. Of another name it is the hash. */
function sessionOf(name: string): string {
  const known = uuid.safeParse(name.toLowerCase());
  if (known.success) return known.data;
  const hash = createHash("sha256").update(name).digest("hex");
  return [hash.slice(0, 8), hash.slice(8, 12), hash.slice(12, 16), hash.slice(16, 20), hash.slice(20, 32)].join("-");
}
