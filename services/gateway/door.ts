/** What happens to a request before and after its handler: who asks, whether too often, and what is kept of it. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Service } from "moleculer";
import type { Config } from "../../config/index.ts";
import { ERRORS, errorType, failure, messageOf } from "../kernel/errors.ts";
import { tellMistake } from "../kernel/mistakes.ts";
import type { Principal } from "../kernel/principal.ts";
import { call, type Caller } from "../kernel/rpc.ts";
import { users } from "../users/contract.ts";
import type { Admitted, Doorkeeper, Request, Route } from "./dispatch.ts";
import { refuseForeign } from "./domain/origin.ts";
import { countedAs } from "../kernel/address.ts";
import type { Client, Clients } from "./http/client.ts";
import { letIn } from "./http/cors.ts";
import { sendProblem, targetOf } from "./http/reply.ts";
import type { FinishedRequest } from "./http/server.ts";
import { challengeOf } from "./identities.ts";
import type { RateLimits } from "./limits.ts";
import type { GatewayState } from "./state.ts";

interface DoorOptions {
  readonly state: GatewayState;
  readonly limits: RateLimits;
  readonly clients: Clients;
  readonly logger: Service["logger"];
  readonly config: Pick<Config, "HOST" | "AUTH_MODE" | "CORS_ORIGINS">;
}

/** What is known of who asks, on the request itself: weak maps beside it are work for the collector of garbage at every request. */
const ASKER = Symbol("asker");
interface Asker {
  readonly client: Client;
  user: string | null;
}
type Asking = IncomingMessage & { [ASKER]?: Asker };

/** The pattern of the address, in which nobody's words are. */
const doingOf = ({ method, route }: IncomingMessage & { readonly route?: string }): string => `${method} ${route ?? "none"}`;

export class Door implements Doorkeeper<GatewayState> {
  readonly state: GatewayState;
  readonly #options: DoorOptions;

  constructor(options: DoorOptions) {
    this.state = options.state;
    this.#options = options;
  }

  /** What is wrong is counted where it comes from, what is right for the user, wherever that is. */
  async admit({ req, res, caller, route, limit, params, signature }: Parameters<Doorkeeper<GatewayState>["admit"]>[0]): Promise<Admitted> {
    const { limits, state } = this.#options;
    const asker = this.#askerOf(req);
    const { client } = asker;
    const { as, identity } = await this.#identify(caller, req, res, client);
    limits.admit(limit, () => as.id ?? countedAs(client.address), res);
    asker.user = as.id;
    const videoId = (params as { id?: unknown }).id;
    // The route's own schema refuses whatever is not one text.
    if (!takesSignature(route) || typeof signature !== "string" || typeof videoId !== "string") return { as, identity, client };
    return { as: await state.identities.bearing(caller, as, { signature, videoId }), identity, client };
  }

  /**
   * Who wants a live connection. It is a GET whose answer a page can read on and on, so pages of others are refused as they are where something changes
   * (RFC 6455, 10.2).
   */
  async admitLive(caller: Caller, req: IncomingMessage, path: string): Promise<{ as: Principal; client: string }> {
    const { HOST, AUTH_MODE, CORS_ORIGINS: origins = [] } = this.#options.config;
    if (targetOf(req).replace(/\?.*$/s, "") !== path) throw failure("ROUTE_NOT_FOUND", `A live connection is at ${path}.`);
    refuseForeign({ method: "POST", headers: req.headers }, { listensOn: HOST, origins, signIn: AUTH_MODE !== "none" });
    const client = this.#options.clients.of(req);
    const { as } = await this.state.identities.of(caller, req, client);
    return { as, client: countedAs(client.address) };
  }

  changed(params: unknown): void {
    this.state.forget((params as { id?: string }).id);
  }

  async audit(route: Route<GatewayState>, request: Request, outcome: string): Promise<void> {
    const { as, params, client, res, caller } = request;
    const subject = (params as { id?: string }).id ?? null;
    const requestId = String(res.getHeader("X-Request-Id"));
    const entry = { action: route.id, subject, outcome, address: client.address, requestId, details: { ...route.audit?.(request) } };
    const { watches: _watches, ...who } = as;
    try {
      await call(caller, users.record, { as: who, ...entry });
    } catch (error) {
      // The deed is done: whoever did it is not told that it failed, and the log has what the table lacks.
      this.#options.logger.error({ ...entry, user: as.id, role: as.role, reason: messageOf(error) }, "the audit could not be written");
    }
  }

  /** Whether a request goes on to its route: pages of others are answered here. */
  open(req: IncomingMessage, res: ServerResponse): boolean {
    const { HOST, AUTH_MODE, CORS_ORIGINS: origins = [] } = this.#options.config;
    this.#askerOf(req);
    try {
      letIn(req, res, origins);
      refuseForeign(req, { listensOn: HOST, origins, signIn: AUTH_MODE !== "none" });
      return true;
    } catch (error) {
      this.refuse(req, res, error);
      return false;
    }
  }

  refuse(req: IncomingMessage, res: ServerResponse, error: unknown): void {
    const { logger } = this.#options;
    const told = this.#told(req, res, error);
    if (!told) return;
    const { code, status, requestId } = told;
    if (code === "INTERNAL") tellMistake(error, { service: "gateway", doing: doingOf(req), requestId });
    // A player that is ahead of the conversion is nothing to look at.
    if (status >= 500 && code !== "VIDEO_SEGMENT_PENDING")
      logger[ERRORS[code].retryable ? "warn" : "error"]({ requestId, code, err: error }, "request failed");
  }

  /** A refusal that cannot be told ends the connection of who asked, and nobody else's: what a request brings on here must not end the process. */
  #told(req: IncomingMessage, res: ServerResponse, error: unknown): ReturnType<typeof sendProblem> | undefined {
    const { config, logger } = this.#options;
    try {
      if (errorType(error) === "UNAUTHENTICATED" && !res.headersSent) res.setHeader("WWW-Authenticate", challengeOf(config.AUTH_MODE, req));
      return sendProblem(req, res, error);
    } catch (mistake) {
      logger.error({ err: mistake, refused: messageOf(error) }, "a refusal could not be told");
      tellMistake(mistake, { service: "gateway", doing: doingOf(req) });
      res.destroy();
      return undefined;
    }
  }

  /** The one line that the log has of each request. Queries stay out of it: they may hold signatures. */
  tell(req: IncomingMessage & { readonly route?: string }, request: FinishedRequest): void {
    const { user, client } = this.#askerOf(req);
    this.#options.logger.info({ ...request, route: req.route ?? "none", user, client: client.address }, "request");
  }

  /** As it was at first: a request of HTTP/2 that is over has no connection any more to ask. */
  #askerOf(req: Asking): Asker {
    return (req[ASKER] ??= { client: this.#options.clients.of(req), user: null });
  }

  async #identify(caller: Caller, req: IncomingMessage, res: ServerResponse, client: Client): ReturnType<GatewayState["identities"]["of"]> {
    const { limits, state } = this.#options;
    try {
      return await state.identities.of(caller, req, client);
    } catch (error) {
      limits.admit("credentials", () => countedAs(client.address), res);
      throw error;
    }
  }
}

function takesSignature({ query }: Route<GatewayState>): boolean {
  return Object.hasOwn((query as { shape?: object }).shape ?? {}, "signature");
}
