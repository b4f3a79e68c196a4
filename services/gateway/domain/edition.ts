/** The entity tag of a video: `"edition.digest"`. The digest names the bytes; the edition is what people have changed. */
import { createHash } from "node:crypto";

/** Strong: other bytes have another digest. */
export function contentTag(body: Uint8Array): string {
  return `"${digestOf(body)}"`;
}

export function videoTag(edition: number, body: Uint8Array): string {
  return `"${edition}.${digestOf(body)}"`;
}

function digestOf(body: Uint8Array): string {
  return createHash("sha256").update(body).digest("base64url");
}

/**
 * The editions that `If-Match` names; undefined when any will do. Only they are compared: a video that is processed changes with every second, and nobody
 * who renames it meanwhile overwrites anything. A tag that this server never gave names no edition, so nothing matches it.
 */
export function editionsOf(ifMatch: string | undefined): number[] | undefined {
  if (ifMatch === undefined || ifMatch.trim() === "*") return undefined;
  return [...ifMatch.matchAll(/(?<!W\/)"([1-9][0-9]{0,8})\.[\w-]+"/g)].map(([, edition]) => Number(edition));
}
