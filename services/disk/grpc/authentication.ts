/** Who may call: everybody asks for health, everything else takes the secret. */
import { createHash, timingSafeEqual } from "node:crypto";
import { type ServerInterceptor, ServerInterceptingCall, ServerListenerBuilder, type Metadata } from "@grpc/grpc-js";
import { failure } from "../../kernel/errors.ts";
import { statusOf } from "./status.ts";

const OPEN = "/grpc.health.v1.Health/";

/** Refuses every call without `authorization: Bearer <secret>` before its handler hears of it. */
export function requireSecret(secret: string): ServerInterceptor {
  const expected = digest(`Bearer ${secret}`);
  return (method, call) => {
    if (method.path.startsWith(OPEN)) return call as ServerInterceptingCall;
    return new ServerInterceptingCall(call, {
      start(next) {
        const listener = new ServerListenerBuilder().withOnReceiveMetadata((metadata, proceed) => {
          if (shows(metadata, expected)) proceed(metadata);
          else call.sendStatus(statusOf(failure("DISK_UNAUTHENTICATED", "The call does not carry the secret of this disk.")));
        });
        next(listener.build());
      },
    });
  };
}

/** Compares digests, so that neither content nor length of the secret shows in the time it takes. */
function shows(metadata: Metadata, expected: Buffer): boolean {
  const given = metadata.get("authorization")[0];
  return typeof given === "string" && timingSafeEqual(digest(given), expected);
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
