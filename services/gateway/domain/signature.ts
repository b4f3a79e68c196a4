/** Addresses that let whoever has them watch one video for a while: `?signature=expiry.key.mac`. */
import { createHmac, timingSafeEqual } from "node:crypto";
import { failure } from "../../kernel/errors.ts";

/** Of a secret that signs for a day and proves for two (services/users/store/users.ts): what the last moment signs must still be proved at its end. */
export const SIGNATURE_SECONDS_MAX = 24 * 3600;

export interface Key {
  readonly id: number;
  /** base64url */
  readonly secret: string;
}

export function sign(videoId: string, expiresS: number, { id, secret }: Key): string {
  return `${expiresS}.${id}.${mac(videoId, expiresS, secret)}`;
}

/** SIGNATURE_INVALID for what no key has signed for this video, or is over. */
export function verify(signature: string, videoId: string, { keys, nowS }: { keys: readonly Key[]; nowS: number }): void {
  const [, expires, id, shown = ""] = /^([0-9]{1,11})\.([0-9]{1,9})\.([\w-]{43})$/.exec(signature) ?? [];
  const key = keys.find((each) => each.id === Number(id));
  const expected = key ? mac(videoId, Number(expires), key.secret) : "";
  if (shown.length !== expected.length || expected === "" || !timingSafeEqual(Buffer.from(shown), Buffer.from(expected))) {
    throw failure("SIGNATURE_INVALID", "The address was not signed for this video, or too long ago.");
  }
  if (Number(expires) <= nowS) throw failure("SIGNATURE_INVALID", "The time for which the address was signed is over.");
}

function mac(videoId: string, expiresS: number, secret: string): string {
  return createHmac("sha256", Buffer.from(secret, "base64url")).update(`watch\n${videoId}\n${expiresS}`).digest("base64url");
}
