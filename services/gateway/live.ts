/** Live progress: the hub (live/) on the services that know the states, behind the same door as everything else. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Service } from "moleculer";
import { repeat, type Repeated } from "../../mixins/repeat.ts";
import { messageOf } from "../kernel/errors.ts";
import { call, type Caller } from "../kernel/rpc.ts";
import { uploads } from "../uploads/contract.ts";
import { videos } from "../videos/contract.ts";
import type { Door } from "./door.ts";
import { API } from "./domain/links.ts";
import { refuseUpgrade } from "./http/upgrade.ts";
import { Hub } from "./live/hub.ts";

const LIVE_PATH = `${API}/live`;
/** How late a change may be told of which no event was heard; and how often a bar moves that moves by itself. */
const ROUND_MS = 2000;

/** The hub of what the services say that keep the states. */
export function hubOn({ broker, logger }: Pick<Service, "broker" | "logger">): Hub {
  return new Hub({
    read: async (topic, as) => {
      const [kind, id = ""] = topic.split(":");
      if (kind === "video") return { ...(await call(broker, videos.status, { as, id })) };
      const { video, state, offset, length } = await call(broker, uploads.get, { as, id });
      return { id, video, state, offset, length };
    },
    onFailure: (error) => logger.debug({ reason: messageOf(error) }, "a state for a live connection could not be read"),
  });
}

export class Live {
  readonly hub: Hub;
  readonly #caller: Caller;
  readonly #door: Door;
  #rounds: Repeated | undefined;

  constructor(caller: Caller, door: Door, hub: Hub) {
    this.#caller = caller;
    this.#door = door;
    this.hub = hub;
  }

  start(): void {
    this.#rounds = repeat(
      ROUND_MS,
      async () => this.hub.round(),
      () => {},
    );
  }

  async stop(): Promise<void> {
    this.hub.close();
    await this.#rounds?.stop();
  }

  /** A request that wants to become another protocol. */
  async upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    // A client that goes before it was let in.
    socket.on("error", () => socket.destroy());
    try {
      const { as, client } = await this.#door.admitLive(this.#caller, req, LIVE_PATH);
      this.hub.accept(req, socket, head, { as, client });
    } catch (error) {
      refuseUpgrade(socket, error);
    }
  }
}
