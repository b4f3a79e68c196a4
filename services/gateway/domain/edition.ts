/** The entity tag of a video: `"edition-end of its id.digest"`. The digest names the bytes; the edition is what people have changed. */
import { createHash } from "node:crypto";
import { failure } from "../../kernel/errors.ts";

/** An entity tag (RFC 9110, 8.8.3). */
const TAG = /^(W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/;
/** Editions in one request: what `videos.edit` takes. */
const EDITIONS_MAX = 100;

/** Strong: other bytes have another digest. */
export function contentTag(body: Uint8Array): string {
  return `"${digestOf(body)}"`;
}

export function videoTag({ id, edition }: { readonly id: string; readonly edition: number }, body: Uint8Array): string {
  return `"${edition}-${endOf(id)}.${digestOf(body)}"`;
}

/** Its random part: tags of another video match nothing. */
function endOf(id: string): string {
  return id.slice(-12);
}

function digestOf(body: Uint8Array): string {
  return createHash("sha256").update(body).digest("base64url");
}

/**
 * The editions of a video that `If-Match` names; undefined when any will do. Only they are compared: a video that is processed changes with every second, and nobody
 * who renames it meanwhile overwrites anything. A tag that this server never gave names no edition, so nothing matches it, nor does a weak one
 * (RFC 9110, 13.1.1). INVALID_REQUEST for what is no tag at all, VIDEO_CHANGED where all are weak.
 */
export function editionsOf(ifMatch: string | undefined, id: string): number[] | undefined {
  if (ifMatch === undefined || ifMatch.trim() === "*") return undefined;
  // Empty members of a list are nothing (RFC 9110, 5.6.1.2).
  const tags = ifMatch
    .split(",")
    .map((tag) => tag.trim())
    .filter((tag) => tag !== "");
  assertStrong(tags);
  const ours = tags.map((tag) => /^"([1-9][0-9]{0,8})-([0-9a-f]{12})\.[\w-]+"$/.exec(tag)).filter((tag) => tag?.[2] === endOf(id));
  return ours.map((tag) => Number(tag?.[1]));
}

function assertStrong(tags: readonly string[]): void {
  if (tags.length === 0 || !tags.every((tag) => TAG.test(tag)))
    throw refused("must be * or the ETag of the video as it was read, in its quotes");
  if (tags.every((tag) => tag.startsWith("W/")))
    throw failure(
      "VIDEO_CHANGED",
      "If-Match takes no weak tags (W/): something on the way has weakened this one. Send it without W/, or *.",
    );
  if (tags.length > EDITIONS_MAX) throw refused(`must name at most ${EDITIONS_MAX} tags`);
}

function refused(message: string): Error {
  return failure("INVALID_REQUEST", `If-Match ${message}.`, { fields: [{ path: "If-Match", message }] });
}
