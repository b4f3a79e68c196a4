/** A gateway in front of real uploads: rows in PostgreSQL, bytes on disks; and what a client of the tus protocol says to it. */
import { createHash } from "node:crypto";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { one } from "../../mixins/database/sql.ts";
import gatewayService from "../../services/gateway/gateway.service.ts";
import uploadsService from "../../services/uploads/uploads.service.ts";
import videosService from "../../services/videos/videos.service.ts";
import { startCluster, type Cluster } from "./cluster.ts";
import { eventually } from "./eventually.ts";
import { ask, type HttpAnswer, type HttpQuestion } from "./http.ts";

export interface TusGateway {
  readonly cluster: Cluster;
  /** http://127.0.0.1:port */
  readonly url: string;
  readonly port: number;
  /** Sends a request of the protocol: with its version, and to an address that may be only a path. */
  ask(method: string, address: string, headers?: Record<string, string>, body?: Buffer): Promise<HttpAnswer>;
  /** The address of a new upload. */
  create(headers: Record<string, string>): Promise<string>;
  patch(address: string, offset: number, body: Buffer, headers?: Record<string, string>): Promise<HttpAnswer>;
  offset(address: string): Promise<number>;
  /** The SHA-256 of the source of the upload's video, when it has one. */
  stored(address: string): Promise<string>;
  /** The same, when the video is known. */
  storedOf(video: string): Promise<string>;
  /** Cuts off every client. */
  closeConnections(): void;
  stop(): Promise<void>;
}

export const UPLOADS = "/api/v1/uploads";
export const OCTETS = "application/offset+octet-stream";
export const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** `Upload-Metadata` of these values. */
export function metadata(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key} ${Buffer.from(value).toString("base64")}`)
    .join(",");
}

/** `others` are services beside those that uploads need. */
export async function startTusGateway(settings: Record<string, string> = {}, others: readonly object[] = []): Promise<TusGateway> {
  const services = [...others, videosService, uploadsService, gatewayService];
  const cluster = await startCluster({ services, settings: { PORT: "0", HOST: "127.0.0.1", ...settings } });
  const { server } = cluster.broker.getLocalService("gateway") as unknown as { server: Server };
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const question = async (method: string, address: string, headers: Record<string, string> = {}, body?: Buffer): Promise<HttpAnswer> => {
    const { pathname } = new URL(address, url);
    const asked: HttpQuestion = { method, headers: { "Tus-Resumable": "1.0.0", ...headers }, ...(body === undefined ? {} : { body }) };
    return await ask(url, pathname, asked);
  };
  const head = async (address: string): Promise<HttpAnswer> => await question("HEAD", address);
  return {
    cluster,
    url,
    port,
    ask: question,
    async create(headers) {
      const answer = await question("POST", UPLOADS, headers);
      if (answer.status !== 201) throw new Error(`creation answered ${answer.status}: ${answer.body.toString()}`);
      return answer.headers.location ?? "";
    },
    patch: async (address, offset, body, headers = {}) =>
      await question("PATCH", address, { "Content-Type": OCTETS, "Upload-Offset": String(offset), ...headers }, body),
    offset: async (address) => Number((await head(address)).headers["upload-offset"]),
    stored: async (address) => await storedOf(cluster, String((await head(address)).headers["x-video-id"])),
    storedOf: async (video) => await storedOf(cluster, video),
    closeConnections: () => server.closeAllConnections(),
    stop: async () => await cluster.stop(),
  };
}

async function storedOf(cluster: Cluster, video: string): Promise<string> {
  const blob = await eventually(async () => (await source(cluster, video)) ?? undefined);
  return sha256(await cluster.read(blob));
}

async function source(cluster: Cluster, video: string): Promise<string | null | undefined> {
  return (await one<{ blob: string | null }>(cluster.db, "select encode(source_blob, 'hex') as blob from videos where id = $1", [video]))
    ?.blob;
}
