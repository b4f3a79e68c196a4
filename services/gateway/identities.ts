/** From what a request shows to who asks. */
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { errorType } from "../kernel/errors.ts";
import { anonymous, onlyPerson, type Principal } from "../kernel/principal.ts";
import { call, type Caller } from "../kernel/rpc.ts";
import { users, type Identity } from "../users/contract.ts";
import { authorizationOf, sessionOf, type Credential } from "./domain/credentials.ts";
import { isOwnPage } from "./domain/origin.ts";
import { verify, type Key } from "./domain/signature.ts";
import type { Client } from "./http/client.ts";
import { Remembered } from "./remembered.ts";

/** A change of rights is told by an event; this is for when it is lost. */
const REMEMBERED_MS = 5000;
/** A password costs 0.1 s of a core to prove, and a client that uses them shows it with each request. Told and forgotten like the others. */
const PASSWORD_REMEMBERED_MS = 60_000;
const REMEMBERED_MAX = 10_000;
/** A key proves for two days, and a new one is made each day. */
const KEYS_MS = 60_000;

export type AuthMode = "none" | "token" | "basic";
type Shown = Credential | { readonly kind: "session"; readonly session: string };

export class Identities {
  readonly #mode: AuthMode;
  readonly #known = new Remembered<Identity>({ max: REMEMBERED_MAX, freshMs: REMEMBERED_MS });
  readonly #keys = new Remembered<readonly Key[]>({ max: 1, freshMs: KEYS_MS });

  constructor(mode: AuthMode) {
    this.#mode = mode;
  }

  get mode(): AuthMode {
    return this.#mode;
  }

  /** Somebody's rights changed. */
  forget(): void {
    this.#known.forgetAll();
  }

  /**
   * UNAUTHENTICATED for a header that shows nothing valid. A cookie that shows nothing valid any more is no reason to refuse what anybody may have: browsers
   * send it by themselves. For the same reason it counts in requests that change something only when our own page sends them.
   */
  async of(caller: Caller, req: IncomingMessage, client: Client): Promise<{ as: Principal; identity: Identity | undefined }> {
    if (this.#mode === "none") return { as: onlyPerson, identity: undefined };
    const { authorization, cookie } = req.headers;
    if (authorization !== undefined) {
      const shown = authorizationOf(authorization, { passwords: this.#mode === "basic" });
      return known(await this.#identify(caller, shown, client));
    }
    const session = sessionOf(cookie, client.secure);
    if (session === undefined || !isOwnPage(req)) return { as: anonymous, identity: undefined };
    const identity = await this.#identify(caller, { kind: "session", session }, client).catch((error: unknown) => {
      if (errorType(error) === "UNAUTHENTICATED") return undefined;
      throw error;
    });
    return identity ? known(identity) : { as: anonymous, identity };
  }

  /** Adds what a signed address lets its bearer watch. SIGNATURE_INVALID. */
  async bearing(caller: Caller, as: Principal, { signature, videoId }: { signature: string; videoId: string }): Promise<Principal> {
    verify(signature, videoId, { keys: await this.keys(caller), nowS: Date.now() / 1000 });
    return { ...as, watches: videoId };
  }

  /** Newest first. */
  keys(caller: Caller): Promise<readonly Key[]> {
    return this.#keys.get("keys", async () => await call(caller, users.signingKeys, {}));
  }

  /** By the hash of what was shown: a dump of this memory lets nobody in. */
  #identify(caller: Caller, shown: Shown, { address }: Client): Promise<Identity> {
    const key = createHash("sha256").update(JSON.stringify(shown)).digest("base64");
    const prove = async (): Promise<Identity> =>
      await call(caller, users.identify, shown.kind === "password" ? { ...shown, address } : shown);
    // What is wrong is not remembered: it would be a way to fill this memory, and a new token is right at once.
    return this.#known.get(key, prove, { freshMs: shown.kind === "password" ? PASSWORD_REMEMBERED_MS : REMEMBERED_MS });
  }
}

function known(identity: Identity): { as: Principal; identity: Identity } {
  return { as: { id: identity.user.id, role: identity.role }, identity };
}

/** What a browser or a program is told to show (RFC 9110, 11.6.1). Our own page asks by itself: a browser that is told of Basic would open a window of its own. */
export function challengeOf(mode: AuthMode, req: IncomingMessage): string {
  const bearer = `Bearer realm="TritonTube"`;
  const fromPage = req.headers["sec-fetch-site"] !== undefined && req.headers["sec-fetch-mode"] !== "navigate";
  return mode === "basic" && !fromPage ? `Basic realm="TritonTube", charset="UTF-8", ${bearer}` : bearer;
}
