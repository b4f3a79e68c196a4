/** Whoever uses the server of the endurance run: people, players, programs, and those whose network fails. Each choice follows from the seed. */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { multipart } from "../../test/support/http.ts";
import { metadata, OCTETS, UPLOADS } from "../../test/support/tus.ts";
import type { Random } from "../../services/ring/domain/random.ts";
import { breakOff, type Answer, type Ending, type Http } from "./http.ts";

const API = "/api/v1";
/** At the same time: more than the server has connections to its database. */
const CLIENTS = 12;
/** Videos beside the film; older ones go. */
const VIDEOS_MAX = 10;
const KIB = 1024;

export interface Person {
  readonly name: string;
  readonly password: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Stage {
  readonly http: Http;
  readonly person: Person;
  /** A video that is ready, and stays. */
  readonly film: string;
  /** A tiny one, to be uploaded. */
  readonly tiny: Buffer;
}

type Deed = () => Promise<unknown>;

interface Form {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

interface Wish {
  /** What shows who asks; default: the token of the person. */
  readonly as?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object | Buffer | string;
}

export class Crowd {
  readonly counts: Record<string, number> = {};
  readonly statuses: Record<string, number> = {};
  /** Answers that nobody should get. */
  readonly mistakes: string[] = [];
  readonly #stage: Stage;
  readonly #random: Random;
  readonly #videos: string[] = [];
  #made = 0;

  constructor(stage: Stage, random: Random) {
    this.#stage = stage;
    this.#random = random;
  }

  get videos(): readonly string[] {
    return this.#videos;
  }

  /** A while of everything; resolves when the last one of them is gone. */
  async round(ms: number): Promise<void> {
    const end = performance.now() + ms;
    const busy = async (): Promise<void> => {
      while (performance.now() < end) await this.#do(this.#deeds);
    };
    await Promise.all([
      ...Array.from({ length: CLIENTS }, busy),
      ...Object.entries(this.#lingering).map(async (each) => await this.#attempt(each)),
    ]);
    this.#stage.http.rest();
  }

  async end(): Promise<void> {
    while (this.#videos.length > 0) await this.#remove();
  }

  /** What a connection does that takes as long as a whole round: once in each. */
  readonly #lingering: Readonly<Record<string, Deed>> = {
    "headers that do not end": async () => await this.#broken(`GET ${API}/videos HTTP/1.1\r\nHost: a\r\nX-Slow: `, "silent"),
    "uploads that fall silent": async () => await this.#brokenUpload("silent"),
    "live connections that do not listen": async () => await this.#live({ deaf: true }),
    "sign-ins with a wrong password": async () => await this.#signIn({ name: "nobody", password: "wrong" }, [401, 429]),
  };

  readonly #deeds: Readonly<Record<string, Deed>> = {
    "uploads as a form": async () => await this.#upload(this.#form(this.#stage.tiny)),
    "uploads of what is no video": async () => await this.#upload(this.#form(this.#noise(512 * KIB))),
    "uploads by tus": async () => await this.#tus({ until: 1 }),
    "uploads by tus that are cut and go on": async () => await this.#tus({ until: 1, cuts: true }),
    "uploads by tus that are left": async () => await this.#tus({ until: 0.6 }),
    "uploads by tus that are taken back": async () => await this.#tus({ until: 0.6, takenBack: true }),
    "uploads that are reset": async () => await this.#brokenUpload("reset"),
    "uploads that are half closed": async () => await this.#brokenUpload("half-closed"),
    downloads: async () => await this.#source({}, [200]),
    ranges: async () => await this.#ranges(),
    "downloads that are reset": async () =>
      await this.#stage.http.leave(this.#path("source"), { headers: this.#stage.person.headers, after: 64 * KIB, waitMs: 0 }),
    "slow downloads": async () =>
      await this.#stage.http.leave(this.#path("source"), {
        headers: this.#stage.person.headers,
        after: KIB,
        waitMs: 2000 * this.#random(),
      }),
    manifests: async () => await this.#watch(),
    "manifests again": async () => await this.#watch(),
    "segments that are reset": async () => await this.#stage.http.leave(await this.#segment(), { after: 1, waitMs: 0 }),
    lists: async () => await this.#list(),
    searches: async () => await this.#ask("GET", `/videos?q=${this.#word()}`, [200]),
    "videos and their state": async () => await this.#lookAt(),
    "sign-ins": async () => await this.#session(),
    tokens: async () => await this.#token(),
    "live connections": async () => await this.#live({}),
    "captions and words": async () => await this.#edit(),
    "bad requests": async () => await this.#bad(),
    "videos in the trash": async () => await this.#trash(),
  };

  async #do(deeds: Readonly<Record<string, Deed>>): Promise<void> {
    const all = Object.entries(deeds);
    await this.#attempt(all[Math.floor(this.#random() * all.length)]!);
  }

  async #attempt([what, deed]: [string, Deed]): Promise<void> {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
    await deed().catch((error: unknown) => this.mistakes.push(`${what}: ${String(error)}`));
  }

  #path(file: string): string {
    return `${API}/videos/${this.#stage.film}/${file}`;
  }

  /** A request of the person; 503 is an answer, too, when it says when to come back. */
  async #ask(method: string, path: string, expected: readonly number[], { as, headers = {}, body }: Wish = {}): Promise<Answer> {
    const json = typeof body === "object" && !Buffer.isBuffer(body);
    const answer = await this.#stage.http.ask(method, path.startsWith("/api") ? path : `${API}${path}`, {
      headers: { ...(as ?? this.#stage.person.headers), ...(json ? { "Content-Type": "application/json" } : {}), ...headers },
      ...(body === undefined ? {} : { body: json ? JSON.stringify(body) : body }),
    });
    this.statuses[answer.status] = (this.statuses[answer.status] ?? 0) + 1;
    const busy = answer.status === 503 && answer.headers["retry-after"] !== undefined;
    if (!busy && !expected.includes(answer.status))
      this.mistakes.push(`${method} ${path} answered ${answer.status}: ${answer.body.toString().slice(0, 300)}`);
    return answer;
  }

  #noise(bytesMax: number): Buffer {
    const outputLength = 1 + Math.floor(this.#random() * bytesMax);
    return createHash("shake256", { outputLength })
      .update(String((this.#made += 1)))
      .update(String(this.#random()))
      .digest();
  }

  #word(): string {
    return ["film", "clip", "fi", "clpi", "nothing", "%22%27", "a b c"][Math.floor(this.#random() * 7)]!.replaceAll(" ", "+");
  }

  /** What lies behind the index of an MP4 means nothing: so that no two are the same bytes, and each is converted. */
  #form(content: Buffer): Form {
    const bytes = Buffer.concat([content, this.#noise(64 * KIB)]);
    const { headers, body } = multipart([
      { name: "title", content: `clip ${(this.#made += 1)}` },
      { name: "file", filename: "clip.mp4", content: bytes },
    ]);
    return { headers: headers as Form["headers"], body };
  }

  async #upload({ headers, body }: Form): Promise<void> {
    if (this.#videos.length >= VIDEOS_MAX) await this.#remove();
    const answer = await this.#ask("POST", "/videos/upload", [202], { headers, body });
    if (answer.status === 202) this.#videos.push((JSON.parse(answer.body.toString()) as { data: { id: string } }).data.id);
  }

  async #tus({ until, cuts = false, takenBack = false }: { until: number; cuts?: boolean; takenBack?: boolean }): Promise<void> {
    const bytes = this.#noise(1024 * KIB);
    const tus = { "Tus-Resumable": "1.0.0" };
    const made = await this.#ask("POST", UPLOADS, [201], {
      headers: { ...tus, "Upload-Length": String(bytes.length), "Upload-Metadata": metadata({ filename: "clip.mp4" }) },
    });
    const { location = "" } = made.headers;
    if (location === "") return;
    if (cuts) await this.#cutPatch(location, bytes);
    for (;;) {
      const offset = Number((await this.#ask("HEAD", location, [200], { headers: tus })).headers["upload-offset"]);
      if (!(offset < bytes.length * until)) break;
      const piece = bytes.subarray(offset, offset + Math.ceil(bytes.length / 3));
      await this.#ask("PATCH", location, [204, 409, 423], {
        headers: { ...tus, "Content-Type": OCTETS, "Upload-Offset": String(offset) },
        body: piece,
      });
    }
    if (takenBack) await this.#ask("DELETE", location, [204], { headers: tus });
    else if (until === 1) this.#videos.push(String(made.headers["x-video-id"]));
  }

  async #cutPatch(location: string, bytes: Buffer): Promise<void> {
    const head = [`PATCH ${location} HTTP/1.1`, "Host: a", "Tus-Resumable: 1.0.0", `Content-Type: ${OCTETS}`, "Upload-Offset: 0"];
    const body = bytes.subarray(0, Math.floor(bytes.length * this.#random()));
    await breakOff(this.#stage.http.port, this.#raw([...head, `Content-Length: ${bytes.length}`]), { body, ending: "reset" });
  }

  #raw(lines: readonly string[]): string {
    const own = Object.entries(this.#stage.person.headers).map(([name, value]) => `${name}: ${value}`);
    return [...lines, ...own, "", ""].join("\r\n");
  }

  async #broken(text: string, ending: Ending, body?: Buffer): Promise<void> {
    await breakOff(this.#stage.http.port, text, { ending, ...(body ? { body } : {}) });
  }

  async #brokenUpload(ending: Ending): Promise<void> {
    const body = this.#noise(2048 * KIB);
    const lines = [`POST ${API}/videos/upload HTTP/1.1`, "Host: a", "Content-Type: video/mp4", `Content-Length: ${2 * body.length}`];
    await this.#broken(this.#raw(lines), ending, body);
  }

  async #source(headers: Readonly<Record<string, string>>, expected: readonly number[]): Promise<void> {
    await this.#ask("GET", this.#path("source"), expected, { headers });
  }

  async #ranges(): Promise<void> {
    const from = Math.floor(this.#random() * 100_000);
    await this.#source({ Range: `bytes=${from}-${from + 70_000}` }, [206]);
    await this.#source({ Range: "bytes=-1000" }, [206]);
    await this.#source({ Range: "bytes=999999999-" }, [416]);
  }

  /** As a player: the manifest, the playlist of a rendition, and some of its segments. */
  async #watch(): Promise<void> {
    await this.#ask("GET", this.#path("manifest.mpd"), [200]);
    await this.#ask("GET", this.#path("thumbnail.jpg"), [200]);
    for (let n = 0; n < 4; n += 1) await this.#ask("GET", await this.#segment(), [200]);
  }

  async #segment(): Promise<string> {
    const master = this.#path("master.m3u8");
    const playlists = linesOf((await this.#ask("GET", master, [200])).body);
    const playlist = resolved(playlists[Math.floor(this.#random() * playlists.length)] ?? "", master);
    const segments = linesOf((await this.#ask("GET", playlist, [200])).body);
    return resolved(segments[Math.floor(this.#random() * segments.length)] ?? "", playlist);
  }

  async #list(): Promise<void> {
    let next: string | null = "";
    for (let pages = 0; pages < 3 && next !== null; pages += 1) {
      const cursor = next === "" ? "" : `&cursor=${encodeURIComponent(next)}`;
      const answer = await this.#ask("GET", `/videos?limit=3${cursor}`, [200]);
      if (answer.status !== 200) return;
      next = (JSON.parse(answer.body.toString()) as { meta: { nextCursor: string | null } }).meta.nextCursor;
    }
  }

  /** One that may be gone at any moment. */
  #any(): string {
    return this.#videos[Math.floor(this.#random() * this.#videos.length)] ?? this.#stage.film;
  }

  async #lookAt(): Promise<void> {
    const id = this.#any();
    await this.#ask("GET", `/videos/${id}`, [200, 404]);
    await this.#ask("GET", `/videos/${id}/status`, [200, 404]);
    await this.#ask("GET", `/videos/${this.#stage.film}/recommendations`, [200]);
  }

  async #signIn(shown: { name: string; password: string }, expected: readonly number[]): Promise<string | undefined> {
    const answer = await this.#ask("POST", "/session", expected, { as: {}, body: shown });
    return answer.headers["set-cookie"]?.[0]?.split(";")[0];
  }

  async #session(): Promise<void> {
    const { name, password } = this.#stage.person;
    const cookie = await this.#signIn({ name, password }, [201, 429]);
    if (cookie === undefined) return;
    const as = { cookie, Origin: this.#stage.http.url };
    await this.#ask("GET", "/session", [200], { as });
    if (this.#random() < 0.5) await this.#ask("DELETE", "/session", [204], { as });
  }

  async #token(): Promise<void> {
    const made = await this.#ask("POST", "/tokens", [201], { body: { name: "endurance", days: 1 } });
    if (made.status !== 201) return;
    const { id, secret } = (JSON.parse(made.body.toString()) as { data: { id: string; secret: string } }).data;
    await this.#ask("GET", "/session", [200], { headers: { Authorization: `Bearer ${secret}` } });
    await this.#ask("DELETE", `/tokens/${id}`, [204]);
  }

  async #edit(): Promise<void> {
    const { film } = this.#stage;
    await this.#ask("PUT", `/videos/${film}/captions/en.vtt`, [204], {
      headers: { "Content-Type": "text/vtt" },
      body: `WEBVTT\n\n00:00.000 --> 00:01.000\n${this.#random()}\n`,
    });
    await this.#ask("PATCH", `/videos/${film}`, [200], { body: { description: `said at ${this.#random()}` } });
    await this.#ask("DELETE", `/videos/${film}/captions/en.vtt`, [204, 404]);
  }

  async #bad(): Promise<void> {
    await this.#ask("GET", "/videos?limit=0", [400]);
    await this.#ask("GET", "/videos/00000000-0000-4000-8000-000000000000", [404]);
    await this.#ask("PATCH", `/videos/${this.#stage.film}`, [400], { body: "{", headers: { "Content-Type": "application/json" } });
    await this.#ask("GET", "/session", [401], { headers: { Authorization: `Bearer tritontube_${this.#random()}` } });
    await this.#broken("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", "half-closed");
  }

  async #trash(): Promise<void> {
    const id = this.#any();
    if (id === this.#stage.film) return;
    await this.#ask("DELETE", `/videos/${id}`, [204, 404]);
    await this.#ask("POST", `/videos/${id}/restore`, [200, 404]);
  }

  async #remove(): Promise<void> {
    const id = this.#videos.shift();
    if (id !== undefined) await this.#ask("DELETE", `/videos/${id}?purge=true`, [204, 404]);
  }

  /** Asks for many things and goes: with a farewell, without, or in the middle of the answers. */
  async #live({ deaf = false }: { deaf?: boolean }): Promise<void> {
    const socket = new WebSocket(`${this.#stage.http.url.replace("http", "ws")}${API}/live`, { headers: this.#stage.person.headers });
    socket.on("error", () => {});
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    await new Promise<void>((resolve) => socket.once("open", resolve).once("close", () => resolve()));
    const subscribe = [this.#stage.film, ...this.#videos].map((id) => `video:${id}`);
    socket.send(JSON.stringify({ subscribe }));
    if (deaf) socket.pause();
    await sleep(deaf ? 5000 : 500 * this.#random());
    const choice = this.#random();
    if (deaf || choice < 0.5) socket.terminate();
    else if (choice < 0.75) socket.send(JSON.stringify({ unsubscribe: subscribe }), () => socket.close());
    else socket.close();
    await closed;
  }
}

function linesOf(playlist: Buffer): string[] {
  return playlist
    .toString()
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
}

function resolved(address: string, base: string): string {
  const { pathname, search } = new URL(address, `http://localhost${base}`);
  return pathname + search;
}
