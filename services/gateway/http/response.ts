/** An answer over HTTP/1.1 whose headers are kept as they go out. */
import { type OutgoingHttpHeaders, ServerResponse, validateHeaderName, validateHeaderValue } from "node:http";
import { securityHeaders } from "./security.ts";

const FIXED: readonly string[] = securityHeaders.flat();

/**
 * Begins with the headers that every answer has. Node's own way, a header at a time, makes an object of each, under a name in small letters, and goes over all
 * of them again in the end: a fifth of what a plain server does for a short answer.
 */
export class ListedResponse extends ServerResponse {
  /** Names and values by turns. */
  readonly #listed: string[] = FIXED.slice();

  /** A header that cannot be sent is refused here, while another answer can still be given. Several lines of one name are for nobody. */
  override setHeader(name: string, value: number | string | readonly string[]): this {
    if (this.headersSent) throw new Error(`The headers went out before ${name} was set.`);
    if (typeof value === "object" || value === undefined) throw new TypeError(`${name} takes one value.`);
    const text = String(value);
    validateHeaderValue(name, text);
    const at = this.#indexOf(name);
    if (at < 0) this.#add(name, text);
    else this.#listed[at + 1] = text;
    return this;
  }

  /** As one list (RFC 9110, 5.3), which cookies are not. */
  override appendHeader(name: string, value: string | readonly string[]): this {
    const before = this.getHeader(name);
    return this.setHeader(name, before === undefined ? value : `${before}, ${String(value)}`);
  }

  override removeHeader(name: string): void {
    super.removeHeader(name);
    const at = this.#indexOf(name);
    if (at >= 0) this.#listed.splice(at, 2);
  }

  override getHeader(name: string): string | undefined {
    const at = this.#indexOf(name);
    return at < 0 ? undefined : this.#listed[at + 1];
  }

  override hasHeader(name: string): boolean {
    return this.#indexOf(name) >= 0;
  }

  override getHeaderNames(): string[] {
    return Object.keys(this.getHeaders());
  }

  override getHeaders(): OutgoingHttpHeaders {
    const headers: OutgoingHttpHeaders = {};
    for (let at = 0; at < this.#listed.length; at += 2) headers[(this.#listed[at] ?? "").toLowerCase()] = this.#listed[at + 1];
    return headers;
  }

  /** Node calls it, too: for whoever sends without having said it, and for what it refuses by itself, with headers of its own. */
  override writeHead(status: number, ...more: readonly unknown[]): this {
    const [reason, headers] = typeof more[0] === "string" ? more : [undefined, more[0]];
    if (typeof reason === "string") this.statusMessage = reason;
    for (const [name, value] of pairsOf(headers)) this.setHeader(name, value);
    return super.writeHead(status, this.#listed);
  }

  #add(name: string, text: string): void {
    validateHeaderName(name);
    this.#listed.push(name, text);
  }

  /** -1 when there is none. */
  #indexOf(name: string): number {
    const listed = this.#listed;
    for (let at = 0; at < listed.length; at += 2) if (isSame(listed[at] ?? "", name)) return at;
    return -1;
  }
}

/** Of an object, or of names and values by turns. */
function pairsOf(headers: unknown): (readonly [string, string])[] {
  if (!Array.isArray(headers)) return Object.entries(headers ?? {});
  return headers.flatMap((name: string, at) => (at % 2 === 0 ? [[name, headers[at + 1] as string] as const] : []));
}

/** Letters of either size: nearly always the very same text, or one of another length. */
function isSame(one: string, other: string): boolean {
  return one === other || (one.length === other.length && one.toLowerCase() === other.toLowerCase());
}
