/** Who may call, and whether this is the disk that they mean: both are looked at before a handler hears of a call. */
import { createHash, timingSafeEqual } from "node:crypto";
import { type Metadata, ServerInterceptingCall, type ServerInterceptor, ServerListenerBuilder } from "@grpc/grpc-js";
import { DISK_METADATA } from "../../../proto/disk.ts";
import { failure, type TritonError } from "../../kernel/errors.ts";
import { statusOf } from "./status.ts";

const OPEN = "/grpc.health.v1.Health/";

/** Refuses every call without `authorization: Bearer <secret>`. */
export function requireSecret(secret: string): ServerInterceptor {
  const expected = digest(`Bearer ${secret}`);
  return refuse((metadata) =>
    shows(metadata, expected) ? undefined : failure("DISK_UNAUTHENTICATED", "The call does not carry the secret of this disk."),
  );
}

/** Refuses calls that name another disk: an address may come to another one, and two copies on one disk are one. */
export function refuseMistaken(id: string): ServerInterceptor {
  return refuse((metadata) => {
    const meant = metadata.get(DISK_METADATA)[0];
    return meant === undefined || meant === id
      ? undefined
      : failure("DISK_MISTAKEN", `The call means disk ${String(meant)}; this is ${id}.`);
  });
}

function refuse(reasonFor: (metadata: Metadata) => TritonError | undefined): ServerInterceptor {
  return (method, call) => {
    if (method.path.startsWith(OPEN)) return call as ServerInterceptingCall;
    return new ServerInterceptingCall(call, {
      start(next) {
        const listener = new ServerListenerBuilder().withOnReceiveMetadata((metadata, proceed) => {
          const reason = reasonFor(metadata);
          if (reason) call.sendStatus(statusOf(reason));
          else proceed(metadata);
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
