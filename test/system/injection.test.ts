/**
 * Words that would make ffmpeg do something else, wherever a stranger can put words: names of files, titles, descriptions, tags, and what the
 * files themselves say. A whole TritonTube takes them for text: no program ever gets to read one.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { cleanLine } from "../../services/gateway/domain/names.ts";
import { Canary, MARK } from "../support/canary.ts";
import { segmentAddresses, untilStatus, type VideoJson } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { injections } from "../support/injections.ts";
import { describeWith } from "../support/neighbours.ts";
import { speakingFilm } from "../support/speaking-film.ts";
import { Spies } from "../support/spies.ts";
import { removeFolder, startTritonTube, temporaryFolder, type TritonTube } from "../support/tritontube.ts";
import { metadata, OCTETS, UPLOADS } from "../support/tus.ts";

const run = promisify(execFile);
/** Of each kind: all of them (`npm run test:injection`) take some minutes. */
const USUAL = process.env["WORDS"] === "all" ? Number.POSITIVE_INFINITY : 2;
const WORK_MS = 240_000;
const TITLE_LENGTH_MAX = 200;
const TAG_LENGTH_MAX = 50;

describeWith(["ffmpeg", "ffprobe"], "words that name a file and an address", () => {
  let folder: string;
  let canary: Canary;
  let spies: Spies;
  let tube: TritonTube;
  let sent = 0;

  beforeAll(async () => {
    folder = await temporaryFolder("tritontube-words-");
    canary = await Canary.start(folder);
    spies = await Spies.post(folder, MARK);
    tube = await startTritonTube({ env: { ...spies.env, X264_PRESET: "ultrafast" } });
  }, WORK_MS);
  afterAll(async () => {
    await tube.stop();
    spies.leave();
    canary.stop();
    process.stdout.write(`${sent} words, ${spies.starts} starts of ffmpeg and ffprobe\n`);
    await removeFolder(tube.dataDir);
    await removeFolder(folder);
  }, WORK_MS);

  const upload = async (words: string): Promise<string> => {
    const container = sent % 2 === 0 ? "mkv" : "mp4";
    const film = await speakingFilm(folder, words, container);
    const way = ways[sent++ % ways.length]!;
    return await way(tube.url, film, words);
  };

  it.each(["an argument", "a command", "a protocol", "a pattern of names", "a filter", "a list or a playlist", "a line or an end"])(
    "are words, where they look like %s",
    async (kind) => {
      const known = injections(canary)[kind] ?? [];
      expect(known.filter((word) => word.includes(MARK))).toHaveLength(known.length);
      expect(known.length).toBeGreaterThan(4);
      const words = known.slice(0, USUAL);
      const before = spies.starts;
      const ids: string[] = [];
      for (const word of words) ids.push(await upload(word));
      for (const [index, id] of ids.entries()) {
        const video = await untilStatus(tube.url, id, ["ready", "failed"], WORK_MS);
        expect(video).toMatchObject({ status: "ready", title: cleanLine(words[index] ?? "").slice(0, TITLE_LENGTH_MAX), error: null });
        expect(await whatPlayersGet(tube.url, video)).not.toContain(MARK);
      }
      expect(spies.starts - before).toBeGreaterThan(3 * words.length);
      expect({ told: spies.told, visits: canary.visits, opened: canary.opened }).toEqual({ told: 0, visits: 0, opened: 0 });
    },
    WORK_MS,
  );

  it("are seen when a program does get to read them, and when it does what they say", async () => {
    for (const args of [["-version", MARK], [canary.address], [canary.file]])
      await run(spies.env.FFPROBE_PATH, args).catch(() => undefined);
    const seen = await eventually(() => spies.told > 0 && canary.visits > 0 && canary.opened > 0, { what: "all three to be seen" });
    expect(seen).toBe(true);
  });
});

type Way = (url: string, film: Buffer<ArrayBuffer>, words: string) => Promise<string>;

const saying = (words: string) => ({
  title: words.slice(0, TITLE_LENGTH_MAX),
  description: words,
  tags: words.replaceAll(",", " ").slice(0, TAG_LENGTH_MAX),
});

/** The ways in which a video comes in. Each answers its id. */
const ways: readonly Way[] = [
  async function asBody(url, film, words) {
    const headers = { "Content-Type": "video/mp4", "X-Filename": encodeURIComponent(words) };
    const answer = await fetch(`${url}/api/v1/videos/upload?${String(new URLSearchParams(saying(words)))}`, {
      method: "POST",
      headers,
      body: film,
    });
    return await idIn(answer);
  },
  async function asForm(url, film, words) {
    const form = new FormData();
    for (const [name, value] of Object.entries(saying(words))) form.append(name, value);
    form.append("file", new Blob([film]), words);
    return await idIn(await fetch(`${url}/api/v1/videos/upload`, { method: "POST", body: form }));
  },
  async function byTus(url, film, words) {
    const about = metadata({ filename: words, filetype: "video/mp4", ...saying(words) });
    const headers = { "Tus-Resumable": "1.0.0", "Content-Type": OCTETS, "Upload-Length": String(film.length), "Upload-Metadata": about };
    const answer = await fetch(`${url}${UPLOADS}`, { method: "POST", headers, body: film });
    if (answer.status !== 201) throw new Error(`the upload answered ${answer.status}: ${await answer.text()}`);
    return answer.headers.get("x-video-id") ?? "";
  },
];

async function idIn(answer: Response): Promise<string> {
  const body = await answer.text();
  if (answer.status !== 202) throw new Error(`the upload answered ${answer.status}: ${body}`);
  return (JSON.parse(body) as { data: { id: string } }).data.id;
}

/** Every byte of a video's manifests, playlists, segments, pictures and captions. */
async function whatPlayersGet(url: string, { id, manifests }: VideoJson): Promise<string> {
  const video = `${url}/api/v1/videos/${id}`;
  const named = [manifests.dash, manifests.hls].map((path) => new URL(path, url).href);
  const pictures = [`${video}/thumbnail.jpg`, `${video}/captions/und.vtt`];
  const addresses = [...named, ...pictures, ...(await segmentAddresses(named[1] ?? ""))];
  const parts = await Promise.all(addresses.map(async (address) => await (await fetch(address)).arrayBuffer()));
  return Buffer.concat(parts.map((part) => Buffer.from(part))).toString("latin1");
}
