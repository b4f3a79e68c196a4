/** Content negotiation (RFC 9110, 12.5). */

/** How much a header of preferences wants each of these, 0–1; the most specific of its ranges counts. */
function quality(header: string, matches: (range: string) => number): number {
  let best = { specific: 0, q: 0 };
  for (const part of header.split(",")) {
    const [range = "", ...parameters] = part.split(";").map((each) => each.trim().toLowerCase());
    const specific = matches(range);
    const q = Number(/^q=([01](?:\.[0-9]{0,3})?)$/.exec(parameters.find((each) => each.startsWith("q=")) ?? "")?.[1] ?? 1);
    if (specific > best.specific) best = { specific, q };
  }
  return best.q;
}

/** Whether an `Accept` header takes this type; all of them do where there is no header. */
export function accepts(header: string | undefined, type: string): boolean {
  if (header === undefined || header.trim() === "") return true;
  const [family] = type.split("/");
  return quality(header, (range) => (range === type ? 3 : range === `${family}/*` ? 2 : range === "*/*" || range === "*" ? 1 : 0)) > 0;
}

export type Encoding = "br" | "gzip";

/** The encoding that an `Accept-Encoding` header wants most, the better one of two; none when it says nothing of them. */
export function encodingOf(header: string | string[] | undefined): Encoding | undefined {
  if (typeof header !== "string") return undefined;
  const wanted = (["br", "gzip"] as const).map((name) => ({
    name,
    q: quality(header, (range) => (range === name ? 2 : range === "*" ? 1 : 0)),
  }));
  const [best] = wanted.filter(({ q }) => q > 0).toSorted((a, b) => b.q - a.q);
  return best?.name;
}
