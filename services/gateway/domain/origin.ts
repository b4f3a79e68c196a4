/** Whose page asks. A browser carries requests of any page to any server, so where this one listens does not say who is asking. */
import { failure } from "../../kernel/errors.ts";

/** A name that means this machine, with or without a port. A server on loopback has no other, whatever a page made DNS say (DNS rebinding). */
const LOOPBACK = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[?::1\]?)(?::[0-9]{1,5})?$/i;
/** They change nothing, and what they answer no foreign page can read, but those that are let in by name. */
const SAFE: readonly (string | undefined)[] = ["GET", "HEAD", "OPTIONS"];
/** Pages of another site, and of another port of this machine (Fetch Metadata, 2.3). */
const FOREIGN: readonly unknown[] = ["cross-site", "same-site"];

interface AskedBy {
  readonly method?: string | undefined;
  readonly headers: {
    readonly host?: string | undefined;
    /** HTTP/2 has this in its place. */
    readonly ":authority"?: string | undefined;
    readonly origin?: string | undefined;
    readonly "sec-fetch-site"?: unknown;
  };
}

interface Neighbourhood {
  /** The server's own address. */
  readonly listensOn: string;
  /** Origins whose pages may ask. */
  readonly origins: readonly string[];
  /** Whether somebody has to sign in. A page that renames itself shows no cookie of ours: then names need not be looked at, and a proxy may pass on its own. */
  readonly signIn: boolean;
}

/** Throws FORBIDDEN_ORIGIN for what a page of somebody else asks. A client that is no browser says nothing of an origin. */
export function refuseForeign(asked: AskedBy, { listensOn, origins, signIn }: Neighbourhood): void {
  const { method, headers } = asked;
  if (!signIn && LOOPBACK.test(listensOn) && !LOOPBACK.test(hostOf(asked))) {
    throw failure("FORBIDDEN_ORIGIN", "This server listens on loopback: ask it as localhost or 127.0.0.1.");
  }
  if (SAFE.includes(method) || (headers.origin !== undefined && origins.includes(headers.origin))) return;
  if (FOREIGN.includes(headers["sec-fetch-site"]) || (headers.origin !== undefined && !isOwn(asked))) {
    throw failure("FORBIDDEN_ORIGIN", "Only this server's own page, and those of CORS_ORIGINS, may do this from a browser.");
  }
}

/**
 * Whether a cookie may speak for whoever sends this: it changes nothing, or our own page sends it. Every browser says where a request that changes
 * something comes from.
 */
export function isOwnPage(asked: AskedBy): boolean {
  return SAFE.includes(asked.method) || isOwn(asked);
}

function isOwn(asked: AskedBy): boolean {
  return URL.parse(asked.headers.origin ?? "")?.host === hostOf(asked);
}

function hostOf({ headers }: AskedBy): string {
  return (headers.host ?? headers[":authority"] ?? "").toLowerCase();
}
