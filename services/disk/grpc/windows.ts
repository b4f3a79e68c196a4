/**
 * HTTP/2 windows of the server. grpc-js 1.14 has an option for them, which only its client obeys (grpc-node #3058 is open): a server keeps
 * Node's 64 KiB for all uploads of a connection together, which is 13 MB/s at 5 ms of distance. When #3058 is out, this file goes.
 */
import { connect, type Http2Server } from "node:http2";
import type { Server } from "@grpc/grpc-js";
import type { Certificates } from "../../../config/disks.ts";

/** 400 MB/s for one upload at 5 ms, more than a disk writes. */
const STREAM_WINDOW_BYTES = 2 * 1024 * 1024;
/** Several uploads can wait for the medium, and leave room for the others. It is also what a connection may make the server hold. */
const CONNECTION_WINDOW_BYTES = 8 * 1024 * 1024;
const SELF_TEST_MS = 2000;

/** The two members of grpc-js's Server (private, hence the exact version in package.json) that this needs. */
interface Internals {
  commonServerOptions?: { settings?: { initialWindowSize?: number } };
  createHttp2Server?: (credentials: unknown) => Http2Server;
}

/** Before `bindAsync`. Where grpc-js is not as expected, nothing is changed: `windowsAreWide` says so. */
export function widenWindows(server: Server): void {
  const internals = server as unknown as Internals;
  const create = internals.createHttp2Server;
  if (!internals.commonServerOptions || typeof create !== "function") return;
  internals.commonServerOptions.settings = { ...internals.commonServerOptions.settings, initialWindowSize: STREAM_WINDOW_BYTES };
  internals.createHttp2Server = (credentials) => {
    const http2 = create.call(server, credentials);
    http2.on("session", (session) => session.setLocalWindowSize(CONNECTION_WINDOW_BYTES));
    return http2;
  };
}

/** Connects to the server as any client does, and looks at what it offers. */
export async function windowsAreWide(port: number, host: string, tls?: Certificates): Promise<boolean> {
  // It is this process that answers: nobody else's name has to be proved.
  const session = tls
    ? connect(`https://${host}:${port}`, { ...tls, servername: "", rejectUnauthorized: false })
    : connect(`http://${host}:${port}`);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  session.setTimeout(SELF_TEST_MS, () => resolve(false));
  session.on("error", () => resolve(false));
  session.once("remoteSettings", (settings) => {
    // The answer to a ping comes after the window update that the server sent before it.
    session.ping(() =>
      resolve(settings.initialWindowSize === STREAM_WINDOW_BYTES && session.state.remoteWindowSize === CONNECTION_WINDOW_BYTES),
    );
  });
  try {
    return await promise;
  } finally {
    session.destroy();
  }
}
