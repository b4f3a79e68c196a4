/** The parts of a gateway, put together from its settings. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Service } from "moleculer";
import { isLoopback, type Config } from "../../config/index.ts";
import { Answers } from "./answers.ts";
import { descriptionContent } from "./docs-routes.ts";
import { Door } from "./door.ts";
import { Health } from "./health.ts";
import { Clients } from "./http/client.ts";
import { loadPage } from "./http/page.ts";
import type { Certificate } from "./http/server.ts";
import { Identities } from "./identities.ts";
import { RateLimits } from "./limits.ts";
import { hubOn, Live } from "./live.ts";
import { openapiOf } from "./openapi.ts";
import { PlaybackDirectory } from "./playback.ts";
import { Plays } from "./plays.ts";
import { ResumableUploads } from "./resumable.ts";
import { apiRoutes } from "./routes.ts";
import { Viewings } from "./viewings.ts";
import type { GatewayState } from "./state.ts";
import { Uploads } from "./uploads.ts";
import { WaitingRoom } from "./waiting.ts";

const root = join(import.meta.dirname, "../..");

export interface GatewayParts {
  readonly state: GatewayState;
  readonly waiting: WaitingRoom;
  readonly limits: RateLimits;
  readonly plays: Plays;
  readonly viewings: Viewings;
  readonly door: Door;
  readonly live: Live;
}

export function assemble(service: Pick<Service, "broker" | "logger">, config: Config): GatewayParts {
  const { broker, logger } = service;
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const waiting = new WaitingRoom();
  const body = { bytesMax: config.UPLOAD_BYTES_MAX, idleMs: config.UPLOAD_IDLE_SECONDS * 1000 };
  // Each fills a buffer for as long as its client likes; two stay free, so that what has come in can always go on to the disks.
  const uploads = new Uploads({ ...body, atOnce: Math.max(1, Math.min(config.UPLOADS_AT_ONCE, config.WRITE_BUFFERS - 2)) });
  const identities = new Identities(config.AUTH_MODE);
  const plays = new Plays(broker, async (caller) => await identities.keys(caller));
  const viewings = new Viewings(broker, async (caller) => await identities.keys(caller));
  const answers = new Answers({ losesEvents: config.NATS_URL !== undefined });
  const playback = new PlaybackDirectory(waiting, plays, viewings);
  const live = hubOn(service);
  const state: GatewayState = {
    answers,
    playback,
    uploads,
    resumable: new ResumableUploads(body, uploads),
    live,
    health: new Health(broker, version),
    identities,
    description: descriptionContent(openapiOf(apiRoutes, version)),
    page: loadPage(join(root, "web/dist")),
    forget(id) {
      answers.forget(id);
      if (id !== undefined) playback.forget(id);
    },
  };
  // Where only this machine can ask, and nobody signs in, there is one person: nobody to share with.
  const limits = new RateLimits(broker, config.RATE_LIMITS ?? (config.AUTH_MODE !== "none" || !isLoopback(config)));
  const door = new Door({ state, limits, clients: new Clients(config.TRUSTED_PROXIES ?? []), logger, config });
  return { state, waiting, limits, plays, viewings, door, live: new Live(broker, door, live) };
}

/** Undefined for plain HTTP. */
export function certificateOf({ TLS_CERT_FILE, TLS_KEY_FILE }: Config): Certificate | undefined {
  if (TLS_CERT_FILE === undefined || TLS_KEY_FILE === undefined) return undefined;
  return { cert: readFileSync(TLS_CERT_FILE), key: readFileSync(TLS_KEY_FILE) };
}
