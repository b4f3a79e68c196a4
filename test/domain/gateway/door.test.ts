import { once } from "node:events";
import { createServer, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Service } from "moleculer";
import { Door } from "../../../services/gateway/door.ts";
import { Clients } from "../../../services/gateway/http/client.ts";
import type { RateLimits } from "../../../services/gateway/limits.ts";
import type { GatewayState } from "../../../services/gateway/state.ts";

describe("the door", () => {
  it("ends the connection of whoever cannot be told of a refusal, and the others go on", async () => {
    const written: unknown[] = [];
    const logger = { error: (fields: unknown) => written.push(fields) } as unknown as Service["logger"];
    const config = { HOST: "127.0.0.1", AUTH_MODE: "none", CORS_ORIGINS: undefined } as const;
    const door = new Door({ state: {} as GatewayState, limits: {} as RateLimits, clients: new Clients([]), logger, config });
    const server = createServer((req, res: ServerResponse) => {
      if (req.url !== "/broken") return res.end("fine");
      res.setHeader = (): never => {
        throw new TypeError("no header can be set");
      };
      return door.refuse(req, res, new Error("why it was refused"));
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    try {
      await expect(once(request({ port, path: "/broken" }).end(), "response")).rejects.toThrow("socket hang up");
      const [answer] = (await once(request({ port, path: "/" }).end(), "response")) as [{ statusCode: number; resume: () => void }];
      answer.resume();
      expect(answer.statusCode).toBe(200);
      expect(written).toEqual([{ err: new TypeError("no header can be set"), refused: "why it was refused" }]);
    } finally {
      server.close();
    }
  });
});
