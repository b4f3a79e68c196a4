/**
 * What attackers upload, to a whole TritonTube: nothing that a file names is opened, no program takes more than its share, every file comes to an
 * end, and the next person's video is served.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as bombs from "../support/bombs.ts";
import { Canary } from "../support/canary.ts";
import { uploadFile, untilStatus } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { decodeFrames } from "../support/media.ts";
import { describeWith } from "../support/neighbours.ts";
import { Sources } from "../support/sources.ts";
import { childrenOf, removeFolder, startTritonTube, temporaryFolder, type TritonTube } from "../support/tritontube.ts";

/** Far more than any of them takes, and less than an inspection may last. */
const WORK_MS = 400_000;
/** What a program may have resident at its worst, MiB: an eighth of the address space that the kernel gives it. */
const RESIDENT_MIB_MAX = 768;
const WATCH_MS = 50;

describeWith(["ffmpeg", "ffprobe"], "a hostile upload", () => {
  let folder: string;
  let sources: Sources;
  let tube: TritonTube;
  let watched: Watch;
  let canary: Canary;

  beforeAll(async () => {
    folder = await temporaryFolder("tritontube-attack-");
    canary = await Canary.start(folder);
    sources = new Sources(folder, canary.address);
    tube = await startTritonTube();
    watched = new Watch(tube.pid);
  }, WORK_MS);
  afterAll(async () => {
    watched.stop();
    canary.stop();
    await tube.stop();
    await removeFolder(tube.dataDir);
    await removeFolder(folder);
  }, WORK_MS);

  it("opens no file and no socket, keeps to its memory, comes to an end; and the next video is served", async () => {
    const files = await attacks(sources, canary.file);
    expect(Object.keys(files).length).toBeGreaterThanOrEqual(30);
    const sent: { name: string; id: string }[] = [];
    for (const [name, bytes] of Object.entries(files)) {
      const path = join(folder, name);
      await writeFile(path, bytes);
      sent.push({ name, id: (await uploadFile(tube.url, path)).id });
    }
    const { id } = await uploadFile(tube.url, await sources.path("tiny.mp4"));
    const verdicts: string[] = [];
    for (const attack of sent) {
      const { status, error } = await untilStatus(tube.url, attack.id, ["ready", "failed"], WORK_MS);
      verdicts.push(`${attack.name}: ${error?.code ?? status}`);
      expect(error?.message ?? "").not.toMatch(/0x[0-9a-f]{4}|127\.0\.0\.1|\/tmp/);
    }
    await untilStatus(tube.url, id, ["ready"], WORK_MS);
    expect(await decodeFrames(`${tube.url}/api/v1/videos/${id}/manifest.mpd`)).toBe(60);
    process.stdout.write(`${verdicts.join("\n")}\nmost resident: ${watched.residentMiB.toFixed(0)} MiB\n`);
    expect(canary.visits).toBe(0);
    expect(canary.opened).toBe(0);
    expect(watched.residentMiB).toBeGreaterThan(1);
    expect(watched.residentMiB).toBeLessThan(RESIDENT_MIB_MAX);
    for (const verdict of verdicts) expect(verdict).toMatch(/: (?:ready|SOURCE_[A-Z_]+)$/);
    await eventually(async () => (await programsOf(tube.pid)).length === 0, { what: "the end of every program" });
  }, 900_000);

  it("is seen when it does open the file", async () => {
    const reader = readFile(canary.file);
    await eventually(() => canary.opened > 0, { what: "the reader to be seen" });
    expect(await reader).toHaveLength(0);
  });
});

const playlist = (address: string) => `#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n${address}\n#EXT-X-ENDLIST\n`;

/** Each as the one who sends it has named it. */
async function attacks(sources: Sources, secret: string): Promise<Record<string, Uint8Array>> {
  const named = async (name: string) => await readFile(await sources.path(name));
  const { canary } = sources;
  const [film, fast, matroska, stream, avi] = await Promise.all(
    ["plain.mp4", "faststart.mp4", "ntsc.mkv", "starts-at-1.4-s.ts", "mjpeg.avi"].map(named),
  );
  const fuzz = Object.entries({ mp4: fast!, mkv: matroska!, ts: stream!, avi: avi! }).flatMap(([kind, bytes]) =>
    [0.0005, 0.01].map((share) => [`fuzzed-${share}.${kind}`, bombs.fuzzed(bytes, `${kind} ${share}`, share)] as const),
  );
  return {
    "playlist-of-an-address.mp4": Buffer.from(playlist(`${canary}/secret.ts`)),
    "playlist-of-a-file.mp4": Buffer.from(playlist(secret)),
    "playlist-of-a-file-address.m3u8": Buffer.from(playlist(`file://${secret}`)),
    "concat.mp4": Buffer.from(`ffconcat version 1.0\nfile '${secret}'\nfile '${canary}/secret.mp4'\n`),
    "dash.mp4": await named("dash.mp4"),
    "session.sdp": Buffer.from("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"),
    "picture.svg": Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg"><image href="${canary}/x.png"/><image href="file://${secret}"/></svg>`,
    ),
    "%03d.png": Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    "reference-to-an-address.mov": bombs.pointingAt(`${canary}/secret.mp4`),
    "reference-to-a-file.mov": bombs.pointingAt(`file://${secret}`),
    "data-elsewhere.mp4": bombs.elsewhere(film!, secret),
    "playlist-behind-a-film.mp4": Buffer.concat([film!, Buffer.from(playlist(secret))]),
    "film-behind-a-playlist.mp4": Buffer.concat([Buffer.from(playlist(secret)), film!]),
    "film-behind-an-archive.mp4": Buffer.concat([Buffer.from("PK\x03\x04"), film!]),
    "attachments.mkv": await named("attachments.mkv"),
    "subtitles-that-name-others.mkv": await named("subtitles-that-name-others.mkv"),
    "nested.mp4": bombs.nested(200_000),
    "vast.avi": bombs.vast(avi!),
    "pixel-bomb.mp4": await named("pixel-bomb.mp4"),
    "gap-bomb.mp4": await named("gap-bomb.mp4"),
    // ISO/IEC 14496-12: the number of entries stands behind version and flags; of sizes, behind the size that all have.
    "many-times.mp4": bombs.claiming(film!, "stts", 4, 0x7fff_ffff),
    "many-sizes.mp4": bombs.claiming(film!, "stsz", 8, 0x7fff_ffff),
    "many-equal-sizes.mp4": bombs.claiming(bombs.claiming(film!, "stsz", 4, 1), "stsz", 8, 100_000_000),
    "many-chunks.mp4": bombs.claiming(film!, "stco", 4, 0x3fff_ffff),
    "endless.mp4": bombs.claiming(bombs.claiming(film!, "mdhd", 16, 0xffff_ffff), "mvhd", 16, 0xffff_ffff),
    "slow-clock.mp4": bombs.claiming(film!, "mdhd", 12, 1),
    "no-clock.mp4": bombs.claiming(film!, "mdhd", 12, 0),
    "tables.ts": bombs.tables(20_000),
    "magicyuv.mkv": await named("magicyuv.mkv"),
    "cut-off-without-index.mp4": await named("cut-off-without-index.mp4"),
    ...Object.fromEntries(fuzz),
  };
}

const programsOf = async (pid: number) => (await childrenOf(pid)).filter(({ command }) => /\bff(?:mpeg|probe)/.test(command));

/** Looks all the time at what the programs of a process have resident. */
class Watch {
  residentMiB = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number) {
    this.#timer = setInterval(() => void this.#look(pid), WATCH_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(pid: number): Promise<void> {
    for (const program of await programsOf(pid)) {
      const status = await readFile(`/proc/${program.pid}/status`, "utf8").catch(() => "");
      this.residentMiB = Math.max(this.residentMiB, Number(/^VmHWM:\s+([0-9]+) kB/m.exec(status)?.[1] ?? 0) / 1024);
    }
  }
}
