/** Secrets that this server makes itself: 256 random bits each, so a fast hash is enough to keep them by. */
import { createHash, randomBytes } from "node:crypto";

/** The beginning tells people, and programs that look for leaked secrets, what it is. */
const PREFIX = { token: "tritontube_", session: "session_" } as const;

export function newSecret(kind: keyof typeof PREFIX): string {
  return PREFIX[kind] + randomBytes(32).toString("base64url");
}

export function secretHash(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}
