/** A private video in the real thing: nobody but its owner learns that it is there, an address that is signed plays it, and what was public can be made private again. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { WebSocket } from "ws";
import { segmentAddresses } from "../support/client.ts";
import { description } from "../support/description.ts";
import { eventually } from "../support/eventually.ts";
import { ask, type HttpAnswer } from "../support/http.ts";
import { decodeFrames, makeSource } from "../support/media.ts";
import { removeFolder, startTritonTube, temporaryFolder, type TritonTube } from "../support/tritontube.ts";

const API = "/api/v1";
const FRAMES = 90;

type Headers = Readonly<Record<string, string>>;
interface Signed {
  readonly signature: string;
  readonly manifests: { readonly dash: string; readonly hls: string };
}

let tube: TritonTube;
let folder: string;
let id: string;
let ann: Headers;
let bob: Headers;
let soonOver: Signed;
/** Every address of the video that its owner can read. */
let addresses: readonly string[];

/** Makes a user beside the server that runs, as its operator would, and answers what the user shows. */
function person(name: string): Headers {
  const program = join(import.meta.dirname, "../../deploy/local/user-add.ts");
  const env = { ...process.env, NODE_OPTIONS: "", DATA_DIR: tube.dataDir };
  const { stdout, stderr, status } = spawnSync(process.execPath, [program, "--name", name, "--role", "uploader", "--token"], {
    input: "a good long one",
    env,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(stderr);
  return { Authorization: `Bearer ${stdout.trim().split("\n").at(-1)}` };
}

const get = async (address: string, headers: Headers = {}): Promise<HttpAnswer> => await ask(tube.url, address, { headers });
const send = async (method: string, path: string, body: object, headers = ann): Promise<HttpAnswer> =>
  await ask(tube.url, `${API}/videos/${id}${path}`, {
    method,
    headers: { ...headers, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });

async function signed(seconds: number): Promise<Signed> {
  return (await send("POST", "/signature", { seconds })).json().data as Signed;
}

async function show(visibility: string): Promise<void> {
  const { headers } = await get(`${API}/videos/${id}`, ann);
  const answer = await ask(tube.url, `${API}/videos/${id}`, {
    method: "PATCH",
    headers: { ...ann, "Content-Type": "application/json", "If-Match": String(headers.etag) },
    body: JSON.stringify({ visibility }),
  });
  expect(answer.status).toBe(200);
}

/** What the description and the addresses of the former application say that can be read of a video. */
function readable(): string[] {
  const templates = Object.entries(description.paths).flatMap(([path, { get: reads }]) =>
    reads && /\/(?:videos|content)\/\{/.test(path) ? [path] : [],
  );
  const values: Readonly<Record<string, string>> = { revision: "1", rendition: "240p", number: "1", language: "en" };
  return [...templates, "/api/videos/{id}", "/content/{id}/manifest.mpd", "/thumbnail/{id}"].map((template) =>
    template.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name] ?? id),
  );
}

/** To read these one has to sign in, whosever they are. */
const isOwners = (address: string): boolean => /\/(?:source|analytics)$/.test(address);

/** The statuses with which addresses are answered, each once. */
async function statuses(of: readonly string[], headers: Headers = {}): Promise<number[]> {
  const answers = [];
  for (const address of of) answers.push((await get(address, headers)).status);
  return [...new Set(answers)];
}

/** What a live connection says of the video first. */
async function told(headers: Headers): Promise<unknown> {
  const socket = new WebSocket(`${tube.url.replace("http", "ws")}${API}/live`, { headers });
  await once(socket, "open");
  const first = once(socket, "message");
  socket.send(JSON.stringify({ subscribe: [`video:${id}`] }));
  const [data] = (await first) as [Buffer];
  socket.terminate();
  const { event, data: said } = JSON.parse(data.toString()) as { event: string; data: { code?: string } };
  return said.code ?? event;
}

beforeAll(async () => {
  folder = await temporaryFolder("tritontube-private-");
  const source = await makeSource(folder, { seconds: FRAMES / 30, size: "426x240" });
  tube = await startTritonTube({ env: { AUTH_MODE: "token", RATE_LIMITS: "false" } });
  [ann, bob] = [person("ann"), person("bob")];
  const answer = await ask(tube.url, `${API}/videos/upload?visibility=private`, {
    method: "POST",
    headers: { ...ann, "Content-Type": "video/mp4" },
    body: await readFile(source),
  });
  ({ id } = answer.json().data as { id: string });
  soonOver = await signed(60);
  await ask(tube.url, `${API}/videos/${id}/captions/en.vtt`, {
    method: "PUT",
    headers: { ...ann, "Content-Type": "text/vtt" },
    body: "WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n",
  });
  await eventually(async () => ((await get(`${API}/videos/${id}`, ann)).json().data as { status: string }).status === "ready", {
    timeoutMs: 240_000,
    what: "the video to be ready",
  });
  const found = [];
  for (const address of readable()) if ((await get(address, ann)).status === 200) found.push(address);
  addresses = found;
}, 480_000);
afterAll(async () => {
  await tube.stop();
  await removeFolder(tube.dataDir);
  await removeFolder(folder);
}, 120_000);

describe("a private video", () => {
  it("can be read by its owner in all of its parts, and by nobody else in any", async () => {
    const media = ["manifest.mpd", "master.m3u8", "playlist.m3u8", "init.mp4", "1.m4s", "thumbnail.jpg", "en.vtt"];
    const parts = [...media, "source", "status", "events", "analytics"];
    for (const part of parts) expect(addresses.some((address) => address.endsWith(part))).toBe(true);
    expect(addresses.length).toBeGreaterThan(13);
    expect(await statuses(addresses, bob)).toEqual([404]);
    expect(await statuses(addresses.filter((address) => !isOwners(address)))).toEqual([404]);
    expect(await statuses(addresses.filter(isOwners))).toEqual([401]);
  });

  it("is in no list of others, and cannot be changed by them", async () => {
    for (const headers of [bob, {}]) expect((await get(`${API}/videos?search=source`, headers)).body.toString()).not.toContain(id);
    for (const [method, path, body] of [
      ["PATCH", "", { visibility: "public" }],
      ["POST", "/restore", {}],
      ["POST", "/retry", {}],
      ["POST", "/signature", {}],
    ] as const)
      expect((await send(method, path, body, { ...bob, "If-Match": "*" })).status).toBe(404);
    expect((await ask(tube.url, `${API}/videos/${id}`, { method: "DELETE", headers: bob })).status).toBe(404);
    expect((await get(`${API}/videos/${id}`, ann)).status).toBe(200);
  });

  it("tells its owner over a live connection, and others that it is not there", async () => {
    expect(await told(ann)).not.toBe("VIDEO_NOT_FOUND");
    expect([await told(bob), await told({})]).toEqual(["VIDEO_NOT_FOUND", "VIDEO_NOT_FOUND"]);
  });

  it("plays from a signed address, in every part that the manifests name, and tells what it is, and opens nothing else by it", async () => {
    const { manifests, signature } = await signed(3600);
    for (const manifest of [manifests.dash, manifests.hls]) expect(await decodeFrames(`${tube.url}${manifest}`)).toBe(FRAMES);
    for (const open of ["", "/status", "/events"]) {
      expect((await get(`${API}/videos/${id}${open}?signature=${signature}`)).status).toBe(200);
      expect((await get(`${API}/videos/${id}${open}?signature=${signature}x`)).status).toBe(403);
      expect((await get(`${API}/videos/${id}${open}`)).status).toBe(404);
    }
    for (const closed of ["/analytics", "/source", "/recommendations"])
      expect((await get(`${API}/videos/${id}${closed}?signature=${signature}`)).status).toBeGreaterThanOrEqual(400);
    expect((await send("PATCH", `?signature=${signature}`, { title: "Mine" }, {})).status).toBeGreaterThanOrEqual(400);
  });
});

describe("a video that was private", () => {
  it("plays for everybody when it is public, and for nobody else when it is private again, to the last segment", async () => {
    await show("public");
    const playlist = `${tube.url}${API}/videos/${id}/master.m3u8`;
    expect(await eventually(async () => (await get(`${API}/videos/${id}/master.m3u8`)).status === 200)).toBe(true);
    expect(await decodeFrames(playlist)).toBe(FRAMES);
    const segments = (await segmentAddresses(playlist)).map((address) => address.slice(tube.url.length));
    expect(segments.length).toBeGreaterThan(3);
    expect(await statuses(segments)).toEqual([200]);
    await show("private");
    await eventually(async () => (await get(segments[0]!)).status === 404, { what: "the end of what gateways remember" });
    expect(await statuses(segments)).toEqual([404]);
    expect(await statuses(segments, bob)).toEqual([404]);
    expect(await statuses(segments, ann)).toEqual([200]);
  });
});

/** Whether an address is refused for its signature. */
async function isRefused(address: string): Promise<boolean> {
  const { status, body } = await get(address);
  return status === 403 && body.toString().includes("SIGNATURE_INVALID");
}

it("is not opened by a signed address whose time is over", async () => {
  expect(await eventually(async () => await isRefused(soonOver.manifests.dash), { timeoutMs: 100_000, what: "the end of a minute" })).toBe(
    true,
  );
}, 120_000);
