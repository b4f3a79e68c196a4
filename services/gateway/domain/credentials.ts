/** What a request shows of who sends it. */
import { failure } from "../../kernel/errors.ts";

/** Browsers keep a name with this beginning to HTTPS, to this host and to its whole path (RFC 6265bis, 4.1.3.2). */
const SECURE_COOKIE = "__Host-tritontube";
const PLAIN_COOKIE = "tritontube";

export type Credential =
  | { readonly kind: "token"; readonly token: string }
  | { readonly kind: "password"; readonly name: string; readonly password: string };

/** What an `Authorization` header shows (RFC 6750, RFC 7617). UNAUTHENTICATED for what is of neither kind, or of one that is not taken. */
export function authorizationOf(header: string, { passwords }: { passwords: boolean }): Credential {
  const [, scheme = "", value = ""] = /^([A-Za-z]+) +([\w.~+/=-]{1,1000})$/.exec(header.trim()) ?? [];
  if (scheme.toLowerCase() === "bearer") return { kind: "token", token: value };
  if (scheme.toLowerCase() === "basic" && passwords) {
    const [, name, password] = /^([^:]{1,64}):([^]{0,256})$/.exec(Buffer.from(value, "base64").toString("utf8")) ?? [];
    if (name !== undefined && password !== undefined) return { kind: "password", name, password };
  }
  throw failure("UNAUTHENTICATED", `Show a token (Authorization: Bearer …)${passwords ? " or a name and a password (Basic)" : ""}.`);
}

/** The session in a `Cookie` header. Of two with one name the first counts: it is the one with the longer path. */
export function sessionOf(header: string | undefined, secure: boolean): string | undefined {
  const name = secure ? SECURE_COOKIE : PLAIN_COOKIE;
  const pair = header?.split(";").find((each) => each.trim().startsWith(`${name}=`));
  const value = pair?.trim().slice(name.length + 1);
  return value !== undefined && /^[\w-]{1,200}$/.test(value) ? value : undefined;
}

/** For `Set-Cookie`. No script reads it, no request of another site carries it; pages of ours ask from here, so links from elsewhere still work. */
export function sessionCookie(session: string, { secure, maxAgeS }: { secure: boolean; maxAgeS: number }): string {
  const name = secure ? SECURE_COOKIE : PLAIN_COOKIE;
  return [`${name}=${session}`, "Path=/", `Max-Age=${maxAgeS}`, "HttpOnly", "SameSite=Strict", ...(secure ? ["Secure"] : [])].join("; ");
}
