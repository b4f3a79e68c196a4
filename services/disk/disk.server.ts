/** The gRPC server of a disk: DiskService for who has the secret, health for everybody. */
import { setTimeout as sleep } from "node:timers/promises";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import type { Logger } from "pino";
import type { Certificates, DiskAccess } from "../../config/disks.ts";
import { diskService } from "../../proto/disk.ts";
import type { DiskServiceServer } from "../../proto/gen/tritontube/disk/v1/disk.ts";
import { errorType } from "../kernel/errors.ts";
import { tellMistake } from "../kernel/mistakes.ts";
import { MESSAGE_BYTES } from "../kernel/limits.ts";
import type { Scrubber } from "./files/scrub.ts";
import type { ChunkStore } from "./files/store.ts";
import { refuseMistaken, requireSecret } from "./grpc/authentication.ts";
import { Calls } from "./grpc/calls.ts";
import { sendFramesAsTheyAre } from "./grpc/frames.ts";
import { addReflection } from "./grpc/reflection.ts";
import { asFailure } from "./grpc/status.ts";
import { tracedCalls } from "./grpc/traces.ts";
import { widenWindows, windowsAreWide } from "./grpc/windows.ts";
import { DiskHandlers } from "./handlers.ts";

/** What running calls are given to end. Their callers repeat them elsewhere: a chunk is the same chunk on every disk. */
const STOP_MS = 3000;

const OPTIONS = {
  // A bulk message with its head, and nothing near the default of 4 MiB.
  "grpc.max_receive_message_length": 2 * MESSAGE_BYTES,
  // Of one connection: more wait at the client.
  "grpc.max_concurrent_streams": 64,
  // Finds out in 15 s that a client's machine is gone.
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5000,
} as const;

const HEALTH_NAMES = ["", "tritontube.disk.v1.DiskService"];
/** Serves while the disk takes chunks: a full disk, or one whose medium takes no writes, still serves reads. */
const WRITES_NAME = "tritontube.disk.v1.DiskService.PutChunk";
/** How often it is asked whether chunks are taken, and a medium that took no writes whether it does again. */
const WRITES_MS = 2000;

export interface DiskServer {
  /** host:port. */
  readonly address: string;
  /** Takes no more calls, and ends when the running ones have, or after STOP_MS. */
  stop(): Promise<void>;
}

interface DiskParts {
  readonly store: ChunkStore;
  readonly scrubber: Scrubber;
}

interface DiskServerSettings {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly access: DiskAccess;
  readonly zone: string;
  /** Whether anybody is told of traces. */
  readonly traced?: boolean;
  /** When it is aborted, no connection is taken any more, and every one breaks with whatever runs on it. */
  readonly dropped: AbortSignal;
}

export async function startDiskServer({ store, scrubber }: DiskParts, settings: DiskServerSettings, logger: Logger): Promise<DiskServer> {
  const server = new Server({
    ...OPTIONS,
    interceptors: [
      sendFramesAsTheyAre,
      ...(settings.traced === true ? [tracedCalls] : []),
      requireSecret(settings.access.secret),
      refuseMistaken(store.id),
    ],
  });
  const health = new HealthImplementation();
  const tell = (status: "SERVING" | "NOT_SERVING") => HEALTH_NAMES.forEach((name) => health.setStatus(name, status));
  const calls = new Calls((method, error) => report(logger, method, error));
  server.addService(diskService, implementation(new DiskHandlers({ store, scrubber }, settings.zone, logger), calls));
  health.addToServer(server);
  addReflection(server);
  tell("SERVING");
  const watching = new AbortController();
  void tellOfWrites(store, (status) => health.setStatus(WRITES_NAME, status), watching.signal);
  widenWindows(server);
  settings.dropped.addEventListener("abort", () => server.forceShutdown());
  const host = settings.host.includes(":") ? `[${settings.host}]` : settings.host;
  const { tls } = settings.access;
  const port = await listen(server, `${host}:${settings.port}`, tls);
  if (!(await windowsAreWide(port, host, tls))) logger.warn("this grpc-js keeps its small windows: uploads from afar are slow");
  return {
    address: `${host}:${port}`,
    async stop() {
      watching.abort();
      tell("NOT_SERVING");
      calls.endExchanges();
      await shutDown(server);
    },
  };
}

function implementation(handlers: DiskHandlers, calls: Calls): DiskServiceServer {
  return {
    putChunk: calls.upload((messages) => handlers.putChunk(messages)),
    getChunk: calls.download((request, send) => handlers.getChunk(request, send)),
    exchange: calls.exchange((request) => handlers.exchange(request)),
    statChunk: calls.unary((request) => handlers.statChunk(request)),
    deleteChunk: calls.unary((request) => handlers.deleteChunk(request)),
    listChunks: calls.download((request, send) => handlers.listChunks(request, send)),
    getDigests: calls.download((request, send) => handlers.getDigests(request, send)),
    getDisk: calls.unary(() => handlers.getDisk()),
    scrubDisk: calls.unary((request) => handlers.scrubDisk(request)),
  };
}

/** A mistake of ours is an error; what callers do, or a full disk, is not. */
function report(logger: Logger, method: string, error: unknown): void {
  const told = asFailure(error);
  const type = errorType(told);
  if (type === "INTERNAL") {
    logger.error({ method, err: error }, "a call failed");
    tellMistake(error, { service: "disk", doing: method });
  } else if (type === "DISK_UNAVAILABLE") logger.warn({ method, err: error }, "the medium fails");
  else logger.debug({ method, type, detail: told.message }, "a call was refused");
}

async function tellOfWrites(store: ChunkStore, tell: (status: "SERVING" | "NOT_SERVING") => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const takesThem = async (): Promise<boolean> => (await store.tryAgain()) && (await store.usage()).readOnly === "";
    tell((await takesThem().catch(() => false)) ? "SERVING" : "NOT_SERVING");
    // Ends early, with a rejection, when the signal is aborted.
    await sleep(WRITES_MS, undefined, { signal, ref: false }).catch(() => undefined);
  }
  tell("NOT_SERVING");
}

/** With certificates, a caller who shows none, or one that another has signed, has no connection. */
async function listen(server: Server, address: string, tls: Certificates | undefined): Promise<number> {
  const shown = tls
    ? ServerCredentials.createSsl(tls.ca, [{ private_key: tls.key, cert_chain: tls.cert }], true)
    : ServerCredentials.createInsecure();
  return await new Promise((resolve, reject) => server.bindAsync(address, shown, (error, port) => (error ? reject(error) : resolve(port))));
}

async function shutDown(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const patience = setTimeout(resolve, STOP_MS);
  server.tryShutdown(() => resolve());
  await promise;
  clearTimeout(patience);
  server.forceShutdown();
}
