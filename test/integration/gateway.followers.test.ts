/** Who may follow a video, on real users and real uploads: rights count for as long as a stream flows, not only at its beginning. */
import { randomUUID } from "node:crypto";
import { request } from "node:http";
import { onlyPerson } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import limitsService from "../../services/limits/limits.service.ts";
import { users } from "../../services/users/contract.ts";
import usersService from "../../services/users/users.service.ts";
import { eventually } from "../support/eventually.ts";
import { ask } from "../support/http.ts";
import { metadata, startTusGateway, type TusGateway } from "../support/tus.ts";

type Headers = Readonly<Record<string, string>>;
interface Person {
  readonly id: string;
  readonly headers: Headers;
}

let tus: TusGateway;
let ann: Person;
let bob: Person;
beforeAll(async () => {
  tus = await startTusGateway({ AUTH_MODE: "token", RATE_LIMITS: "false" }, [usersService, limitsService]);
  [ann, bob] = [await person("ann"), await person("bob")];
}, 240_000);
afterAll(() => tus.stop());

async function person(name: string): Promise<Person> {
  const { broker } = tus.cluster;
  const { id } = await call(broker, users.create, { as: onlyPerson, id: randomUUID(), name, role: "uploader", password: randomUUID() });
  const { secret } = await call(broker, users.createToken, { as: { id, role: "uploader" }, name: "test", days: 1 });
  return { id, headers: { Authorization: `Bearer ${secret}` } };
}

/** A video of Ann's whose bytes are still to come. */
async function upload(visibility: "public" | "private"): Promise<string> {
  const address = await tus.create({ ...ann.headers, "Upload-Length": "10", "Upload-Metadata": metadata({ visibility }) });
  return String((await tus.ask("HEAD", address, ann.headers)).headers["x-video-id"]);
}

interface Following {
  readonly status: number;
  readonly events: () => string[];
  readonly isOver: () => boolean;
  readonly leave: () => void;
}

async function follow(id: string, headers: Headers): Promise<Following> {
  return await new Promise((resolve, reject) => {
    const sent = request(tus.url, { path: `/api/v1/videos/${id}/events`, headers, agent: false }, (response) => {
      let text = "";
      response.on("data", (part: Buffer) => (text += part.toString()));
      response.on("error", () => {});
      const events = (): string[] => [...text.matchAll(/^event: (.*)$/gm)].map(([, event = ""]) => event);
      resolve({ status: response.statusCode ?? 0, events, isOver: () => response.complete, leave: () => sent.destroy() });
    });
    sent.on("error", reject).end();
  });
}

async function edit(id: string, set: object): Promise<void> {
  const headers = { ...ann.headers, "Content-Type": "application/json", "If-Match": "*" };
  const { status } = await ask(tus.url, `/api/v1/videos/${id}`, { method: "PATCH", headers, body: JSON.stringify(set) });
  expect(status).toBe(200);
}

it("is followed by its owner alone when it is private", async () => {
  const id = await upload("private");
  const [own, other, stranger] = [await follow(id, ann.headers), await follow(id, bob.headers), await follow(id, {})];
  own.leave();
  expect([own.status, other.status, stranger.status]).toEqual([200, 404, 404]);
});

it("is gone for those who follow it when it is made private, and its owner follows on", async () => {
  const id = await upload("public");
  const [own, other, stranger] = [await follow(id, ann.headers), await follow(id, bob.headers), await follow(id, {})];
  await eventually(() => [own, other, stranger].every(({ events }) => events().length === 1), { what: "the first state" });
  await edit(id, { visibility: "private" });
  await eventually(() => other.isOver() && stranger.isOver(), { what: "the end of both" });
  expect([other, stranger].map(({ events }) => events())).toEqual([
    ["video.status", "video.deleted"],
    ["video.status", "video.deleted"],
  ]);
  expect([own.isOver(), own.events().includes("video.deleted")]).toEqual([false, false]);
  own.leave();
});
