/** The gateway: REST for everyone outside. It keeps no truth; it checks, asks the services, and hands bytes from storage to players. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Context, Service, ServiceSchema } from "moleculer";
import ApiGateway from "moleculer-web";
import { loadConfig } from "../../config/index.ts";
import { messageOf } from "../kernel/errors.ts";
import { uploadProgressed } from "../uploads/contract.ts";
import { usersChanged } from "../users/contract.ts";
import { segmentsStored, videoChanged } from "../videos/contract.ts";
import { assemble, certificateOf, type GatewayParts } from "./assemble.ts";
import { Addresses, callerFor, type Alias } from "./addresses.ts";
import { aliasesOf } from "./dispatch.ts";
import { openServer, type HttpServer } from "./http/server.ts";
import { targetOf } from "./http/reply.ts";
import { tracedRequests, type Handling } from "./http/traces.ts";
import { formerRoutes } from "./former-routes.ts";
import { pageRoutes } from "./page-routes.ts";
import { apiRoutes } from "./routes.ts";

interface Gateway extends Service<Record<string, unknown>> {
  /** What moleculer-web listens with. */
  server: HttpServer["server"];
  http: HttpServer;
  parts: GatewayParts;
  addRoute(route: object): void;
  /** What moleculer-web made of the routes. */
  readonly aliases: readonly Alias[];
  addresses: Addresses;
  httpHandler(req: IncomingMessage & { route?: string }, res: ServerResponse): void;
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
  },

  // Routes come from routes.ts alone: nobody lists, adds, removes or asks them by a call.
  actions: { rest: false, listAliases: false, addRoute: false, removeRoute: false },

  events: {
    [videoChanged.name](ctx: Context<{ id: string }>) {
      this.parts.state.forget(ctx.params.id);
      this.parts.waiting.wake(ctx.params.id);
      this.parts.live.hub.wake(`video:${ctx.params.id}`);
    },
    [segmentsStored.name](ctx: Context<{ id: string }>) {
      this.parts.state.answers.forgetProgress(ctx.params.id);
      this.parts.waiting.wake(ctx.params.id);
      this.parts.live.hub.wake(`video:${ctx.params.id}`);
    },
    [uploadProgressed.name](ctx: Context<{ id: string }>) {
      this.parts.live.hub.wake(`upload:${ctx.params.id}`);
    },
    [usersChanged.name](ctx: Context<{ id: string | null }>) {
      this.parts.state.identities.forget();
      this.parts.live.hub.changed(ctx.params.id);
    },
  },

  methods: {
    /** moleculer-web would make an action of each request, and lead it through all of the broker's middlewares before anything is looked at. */
    httpHandler(this: Gateway, req: IncomingMessage & { route?: string }, res: ServerResponse) {
      try {
        const { alias, segments } = this.addresses.find(targetOf(req));
        req.route = alias.fullPath;
        alias.handler({ req, res, segments, caller: callerFor(this.broker, String(res.getHeader("X-Request-Id"))) });
      } catch (error) {
        this.parts.door.refuse(req, res, error);
      }
    },

    createServer(this: Gateway) {
      const config = loadConfig();
      const handle: Handling = (req, res) => {
        if (this.parts.door.open(req, res)) this.httpHandler(req, res);
      };
      this.http = openServer({
        certificate: certificateOf(config),
        uploadIdleMs: config.UPLOAD_IDLE_SECONDS * 1000,
        handle: config.OTLP_URL === undefined ? handle : tracedRequests(handle, config.OTLP_READS),
        finished: (req, request) => this.parts.door.tell(req, request),
      });
      this.server = this.http.server;
      this.server.on("upgrade", (req, socket, head) => void this.parts.live.upgrade(req, socket, head));
    },
  },

  created() {
    const config = loadConfig();
    this.settings.ip = config.HOST;
    this.settings.port = config.PORT;
    this.parts = assemble(this, config);
    const { door, state } = this.parts;
    this.addRoute({
      path: "/",
      mappingPolicy: "restrict",
      mergeParams: false,
      bodyParsers: false,
      logging: false,
      pathToRegexpOptions: { sensitive: true },
      aliases: aliasesOf([...apiRoutes, ...formerRoutes, ...pageRoutes(state.page)], door),
    });
    this.addresses = new Addresses(this.aliases);
  },

  async started() {
    this.parts.live.start();
    this.parts.limits.start((error) =>
      this.logger.warn({ reason: messageOf(error) }, "the shared count of requests cannot be reached; counting alone"),
    );
    this.parts.viewings.teller.start((error) => this.logger.warn({ reason: messageOf(error) }, "viewings cannot be told"));
    this.parts.plays.teller.start((error) => this.logger.warn({ reason: messageOf(error) }, "views cannot be told; trying again"));
  },

  async stopped() {
    this.parts.waiting.close();
    await this.parts.live.stop();
    await this.parts.limits.stop();
    await this.parts.plays.teller.stop();
    await this.parts.viewings.teller.stop();
    await this.http.close();
  },
};

export default gateway;
