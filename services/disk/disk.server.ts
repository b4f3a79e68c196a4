/** The gRPC server of a disk: DiskService for who has the secret, health for everybody. */
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import type { Logger } from "pino";
import { diskService } from "../../proto/disk.ts";
import type { DiskServiceServer } from "../../proto/gen/tritontube/disk/v1/disk.ts";
import { errorType } from "../kernel/errors.ts";
import { MESSAGE_BYTES } from "../kernel/limits.ts";
import type { ChunkStore } from "./files/store.ts";
import { requireSecret } from "./grpc/authentication.ts";
import { Calls } from "./grpc/calls.ts";
import { sendFramesAsTheyAre } from "./grpc/frames.ts";
import { asFailure } from "./grpc/status.ts";
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

export interface DiskServer {
  /** host:port. */
  readonly address: string;
  /** Takes no more calls, and ends when the running ones have, or after STOP_MS. */
  stop(): Promise<void>;
}

interface DiskServerSettings {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly secret: string;
  readonly zone: string;
}

export async function startDiskServer(store: ChunkStore, settings: DiskServerSettings, logger: Logger): Promise<DiskServer> {
  const server = new Server({ ...OPTIONS, interceptors: [sendFramesAsTheyAre, requireSecret(settings.secret)] });
  const health = new HealthImplementation();
  const tell = (status: "SERVING" | "NOT_SERVING") => HEALTH_NAMES.forEach((name) => health.setStatus(name, status));
  server.addService(diskService, implementation(new DiskHandlers(store, settings.zone, logger), logger));
  health.addToServer(server);
  tell("SERVING");
  widenWindows(server);
  const host = settings.host.includes(":") ? `[${settings.host}]` : settings.host;
  const port = await listen(server, `${host}:${settings.port}`);
  if (!(await windowsAreWide(port, host))) logger.warn("this grpc-js keeps its small windows: uploads from afar are slow");
  return {
    address: `${host}:${port}`,
    async stop() {
      tell("NOT_SERVING");
      await shutDown(server);
    },
  };
}

function implementation(handlers: DiskHandlers, logger: Logger): DiskServiceServer {
  const calls = new Calls((method, error) => report(logger, method, error));
  return {
    putChunk: calls.upload((messages) => handlers.putChunk(messages)),
    getChunk: calls.download((request, send) => handlers.getChunk(request, send)),
    statChunk: calls.unary((request) => handlers.statChunk(request)),
    deleteChunk: calls.unary((request) => handlers.deleteChunk(request)),
    getDisk: calls.unary(() => handlers.getDisk()),
  };
}

/** A mistake of ours is an error; what callers do, or a full disk, is not. */
function report(logger: Logger, method: string, error: unknown): void {
  const told = asFailure(error);
  const type = errorType(told);
  if (type === "INTERNAL") logger.error({ method, err: error }, "a call failed");
  else if (type === "DISK_UNAVAILABLE") logger.warn({ method, err: error }, "the medium fails");
  else logger.debug({ method, type, detail: told.message }, "a call was refused");
}

async function listen(server: Server, address: string): Promise<number> {
  return await new Promise((resolve, reject) =>
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => (error ? reject(error) : resolve(port))),
  );
}

async function shutDown(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const patience = setTimeout(resolve, STOP_MS);
  server.tryShutdown(() => resolve());
  await promise;
  clearTimeout(patience);
  server.forceShutdown();
}
