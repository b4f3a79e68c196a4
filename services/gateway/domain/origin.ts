/** Who may ask. A browser carries requests of any page to this machine, so where the server listens does not say who is asking. */
import { failure } from "../../kernel/errors.ts";

/** A name that means this machine, with or without a port. A server on loopback has no other, whatever a page made DNS say (DNS rebinding). */
const LOOPBACK = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[?::1\]?)(?::[0-9]{1,5})?$/i;
/** They change nothing, and what they answer no foreign page can read: no answer lets another origin in. */
const SAFE: readonly (string | undefined)[] = ["GET", "HEAD", "OPTIONS"];
/** Pages of another site, and of another port of this machine (Fetch Metadata, 2.3). */
const FOREIGN: readonly unknown[] = ["cross-site", "same-site"];

interface AskedBy {
  readonly method?: string | undefined;
  readonly headers: { readonly host?: string | undefined; readonly origin?: string | undefined; readonly "sec-fetch-site"?: unknown };
}

/** Throws FORBIDDEN_ORIGIN for what a page of somebody else asks. `listensOn` is the server's own address. A client that is no browser says nothing of an origin. */
export function refuseForeign({ method, headers }: AskedBy, listensOn: string): void {
  const { host = "", origin } = headers;
  if (LOOPBACK.test(listensOn) && !LOOPBACK.test(host)) {
    throw failure("FORBIDDEN_ORIGIN", "This server listens on loopback: ask it as localhost or 127.0.0.1.");
  }
  if (SAFE.includes(method)) return;
  if (FOREIGN.includes(headers["sec-fetch-site"]) || (origin !== undefined && URL.parse(origin)?.host !== host.toLowerCase())) {
    throw failure("FORBIDDEN_ORIGIN", "Only this server's own page may do this from a browser.");
  }
}
