/** The gateway: REST for everyone outside. It keeps no truth; it checks, asks the services, and hands bytes from storage to players. */
import { readFileSync } from "node:fs";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { join } from "node:path";
import type { Context, Service, ServiceSchema } from "moleculer";
import ApiGateway from "moleculer-web";
import { loadConfig } from "../../config/index.ts";
import { ERRORS } from "../kernel/errors.ts";
import { segmentsStored, videoChanged } from "../videos/contract.ts";
import { aliasesOf } from "./dispatch.ts";
import { refuseForeign } from "./domain/origin.ts";
import { Health } from "./health.ts";
import { loadPage } from "./http/page.ts";
import { sendProblem } from "./http/reply.ts";
import { openServer, type FinishedRequest, type HttpServer } from "./http/server.ts";
import { PlaybackDirectory } from "./playback.ts";
import { apiRoutes, pageRoutes, type GatewayState } from "./routes.ts";
import { Uploads } from "./uploads.ts";
import { WaitingRoom } from "./waiting.ts";

const root = join(import.meta.dirname, "../..");

interface Gateway extends Service<Record<string, unknown>> {
  /** What moleculer-web listens with. */
  server: Server;
  http: HttpServer;
  state: GatewayState;
  waiting: WaitingRoom;
  addRoute(route: object): void;
  httpHandler(req: IncomingMessage, res: ServerResponse): Promise<void>;
  receive(req: IncomingMessage, res: ServerResponse): void;
  refuse(req: IncomingMessage, res: ServerResponse, error: unknown): void;
  logFinished(req: IncomingMessage, request: FinishedRequest): void;
}

const gateway: ServiceSchema<Record<string, unknown>, Record<string, never>, Record<string, never>, Gateway> = {
  name: "gateway",
  mixins: [ApiGateway as Partial<ServiceSchema>],

  settings: {
    // An empty list would be a route that exposes every action of every service: moleculer-web's default.
    routes: null,
    cors: null,
    // One line a request is written here, at its end; moleculer-web would write six.
    logRequest: null,
    logRequestParams: null,
    logResponse: null,
    logRouteRegistration: null,
    // Aliases of other services are never taken over; the default would hold a stopping process for half a second.
    debounceTime: 1,
    onError(this: Gateway, req: IncomingMessage, res: ServerResponse, error: unknown) {
      this.refuse(req, res, error);
    },
    /** The id that the server has given the request; and no tracking, since the server itself waits for what is being answered. */
    rootCallOptions(options: { requestID?: string; tracking?: boolean }, _req: IncomingMessage, res: ServerResponse) {
      options.requestID = String(res.getHeader("X-Request-Id"));
      options.tracking = false;
    },
  },

  // Routes come from routes.ts alone: nobody lists, adds or removes them by a call.
  actions: { listAliases: false, addRoute: false, removeRoute: false },

  events: {
    [videoChanged.name](ctx: Context<{ id: string }>) {
      this.state.playback.forget(ctx.params.id);
      this.waiting.wake(ctx.params.id);
    },
    [segmentsStored.name](ctx: Context<{ id: string }>) {
      this.waiting.wake(ctx.params.id);
    },
  },

  methods: {
    createServer() {
      this.http = openServer({
        uploadIdleMs: loadConfig().UPLOAD_IDLE_SECONDS * 1000,
        handle: (req, res) => this.receive(req, res),
        finished: (req, request) => this.logFinished(req, request),
      });
      this.server = this.http.server;
    },

    receive(req: IncomingMessage, res: ServerResponse) {
      try {
        refuseForeign(req, loadConfig().HOST);
      } catch (error) {
        this.refuse(req, res, error);
        return;
      }
      void this.httpHandler(req, res);
    },

    refuse(req: IncomingMessage, res: ServerResponse, error: unknown) {
      const { code, status, requestId } = sendProblem(req, res, error);
      // A player that is ahead of the conversion is nothing to look at.
      if (status >= 500 && code !== "VIDEO_SEGMENT_PENDING")
        this.logger[ERRORS[code].retryable ? "warn" : "error"]({ requestId, code, err: error }, "request failed");
    },

    logFinished(req: IncomingMessage & { $alias?: { fullPath: string } }, request: FinishedRequest) {
      this.logger.info({ ...request, route: req.$alias?.fullPath ?? "none" }, "request");
    },
  },

  created() {
    const config = loadConfig();
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    this.settings.ip = config.HOST;
    this.settings.port = config.PORT;
    this.waiting = new WaitingRoom();
    this.state = {
      playback: new PlaybackDirectory(this.waiting),
      uploads: new Uploads({
        bytesMax: config.UPLOAD_BYTES_MAX,
        idleMs: config.UPLOAD_IDLE_SECONDS * 1000,
        // Each fills a buffer for as long as its client likes; two stay free, so that what has come in can always go on to the disks.
        atOnce: Math.max(1, Math.min(config.UPLOADS_AT_ONCE, config.WRITE_BUFFERS - 2)),
      }),
      health: new Health(this.broker, version),
      page: loadPage(join(root, "web/dist")),
    };
    this.addRoute({
      path: "/",
      mappingPolicy: "restrict",
      mergeParams: false,
      bodyParsers: false,
      logging: false,
      pathToRegexpOptions: { sensitive: true },
      aliases: aliasesOf([...apiRoutes, ...pageRoutes(this.state.page)], this.state, (req, res, error) => this.refuse(req, res, error)),
      onError: (req: IncomingMessage, res: ServerResponse, error: unknown) => this.refuse(req, res, error),
    });
  },

  async stopped() {
    this.waiting.close();
    await this.http.close();
  },
};

export default gateway;
