/** What attackers send, what breaks around a conversion, and what must be left behind: nothing. */
import { execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmod, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import { errorType, failure } from "../../services/kernel/errors.ts";
import { planOf, taskOf, type SpanTask } from "../../services/transcoder/domain/plan.ts";
import { candidateOf } from "../../services/transcoder/domain/probe.ts";
import type { ProgramPaths } from "../../services/transcoder/ffmpeg/locate.ts";
import { openTools, type Tools } from "../../services/transcoder/ffmpeg/sandbox.ts";
import { probe, readTimeline } from "../../services/transcoder/ffmpeg/probe.ts";
import { NotYetThere, serveSource } from "../../services/transcoder/ffmpeg/source.ts";
import type { Ports } from "../../services/transcoder/work/ports.ts";
import { doTask, LIMITS, Workshop } from "../support/conversion.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithToolsets, runningPrograms } from "../support/ffmpeg.ts";
import { Sources } from "../support/sources.ts";
import { childrenOf, isAlive, removeFolder, temporaryFolder } from "../support/tritontube.ts";

const run = promisify(execFile);

let folder: string;
let sources: Sources;
/** Everything that anybody asked the canary for. */
const hits: (string | undefined)[] = [];
const canary = createServer((request, response) => {
  hits.push(request.url);
  response.end();
});

beforeAll(async () => {
  folder = await temporaryFolder("tritontube-hostile-");
  await new Promise<void>((resolve) => canary.listen(0, "127.0.0.1", resolve));
  sources = new Sources(folder, `http://127.0.0.1:${(canary.address() as AddressInfo).port}`);
});
afterAll(async () => {
  canary.close();
  await removeFolder(folder);
});

async function thrownBy(attempt: Promise<unknown>): Promise<Error> {
  const thrown = await attempt.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof Error) return thrown;
  throw new Error(`It did not fail with an error, but with ${String(thrown)}.`);
}

const playlists = ["playlist.mp4", "local-playlist.mp4", "concat.mp4", "dash.mp4"];

describeWithToolsets((paths) => {
  let tools: Tools;
  beforeAll(async () => {
    tools = await openTools(paths, LIMITS.secondsMax);
  });
  afterEach(async () => {
    expect(await runningPrograms()).toEqual([]);
    expect(await jobFolders(tools)).toEqual([]);
    expect(hits).toEqual([]);
  });
  afterAll(async () => {
    await tools.close();
    await expect(readdir(dirname(tools.ffmpeg))).rejects.toThrow("ENOENT");
  });

  it.each([
    ["text.mp4", "SOURCE_NOT_MEDIA", "text file"],
    ["noise.mp4", "SOURCE_NOT_MEDIA", "not a video"],
    ["playlist.mp4", "SOURCE_NOT_MEDIA", "playlist"],
    ["local-playlist.mp4", "SOURCE_NOT_MEDIA", "playlist"],
    ["concat.mp4", "SOURCE_NOT_MEDIA", "playlist"],
    ["dash.mp4", "SOURCE_NOT_MEDIA", "manifest"],
    ["audio-only.m4a", "SOURCE_WITHOUT_PICTURE", "no moving picture"],
    ["audio-with-cover.mp4", "SOURCE_WITHOUT_PICTURE", "no moving picture"],
    ["cut-off-without-index.mp4", "SOURCE_DAMAGED", "index"],
    ["magicyuv.mkv", "SOURCE_UNSUPPORTED", "magicyuv"],
    ["pixel-bomb.mp4", "SOURCE_TOO_BIG", "pixels"],
    ["gap-bomb.mp4", "SOURCE_TOO_LONG", "20001 s"],
    ["joined.ts", "SOURCE_UNSUPPORTED", "clock"],
  ])("refuses %s as %s, in words for a person", async (name, type, words) => {
    const error = await thrownBy(new Workshop(tools).convert(await sources.path(name)));
    expect(errorType(error)).toBe(type);
    expect(error.message).toContain(words);
    expect(error.message).not.toMatch(/0x[0-9a-f]{4}|127\.0\.0\.1|\/tmp/);
  });

  it.each(playlists)("opens nothing that %s names, also where its first bytes had been believed", async (name) => {
    const bytes = await readFile(await sources.path(name));
    const at = await tools.folder();
    const source = await serveSource({ size: bytes.length, read: async (start, end) => Readable.from([bytes.subarray(start, end)]) });
    const question = { ffprobe: tools.ffprobe, folder: at, url: source.url, limits: LIMITS, signal: new AbortController().signal };
    try {
      for (const demuxer of ["mov", "matroska", "mpegts"] as const) {
        const read = async () => candidateOf(await probe({ ...question, demuxer }), demuxer, LIMITS);
        expect(errorType(await thrownBy(read()))).toMatch(/^SOURCE_(?:DAMAGED|WITHOUT_PICTURE)$/);
      }
    } finally {
      await source.close();
      await removeFolder(at);
    }
    const shop = new Workshop(tools);
    const task = {
      ...(await plainTask(shop, "tiny.mp4")),
      source: { ...shop.store(bytes), demuxer: "mov", seekable: true, start: 0, origin: 0 },
    };
    expect(errorType(await thrownBy(doTask("video.span", task, shop.hand(new AbortController().signal, {}))))).toBe("SOURCE_DAMAGED");
  });

  it("makes no more frames than were planned of a source whose clock leaps", async () => {
    const shop = new Workshop(tools);
    const bomb = shop.store(await readFile(await sources.path("gap-bomb.mp4")));
    const task = await plainTask(shop, "tiny.mp4");
    const durations: number[] = [];
    const publish: Ports["publish"] = async ({ segments }) => void durations.push(...segments.map(({ duration }) => duration));
    const forged = { ...task, source: { ...task.source, ...bomb } };
    await doTask("video.span", forged, shop.hand(new AbortController().signal, { publish }));
    expect(durations.reduce((a, b) => a + b, 0)).toBe(60 * 512);
  });

  it("ends ffmpeg at once when the work is not wanted any more", async () => {
    const shop = new Workshop(tools);
    const task = await longTask(shop);
    const controller = new AbortController();
    let stored = 0;
    const put: Ports["put"] = async (bytes) => {
      stored += 1;
      return shop.store(bytes);
    };
    const work = doTask("video.span", task, shop.hand(controller.signal, { put }));
    await eventually(() => stored > 2, { what: "some segments" });
    expect(await runningPrograms()).toHaveLength(1);
    controller.abort(new Error("not wanted any more"));
    expect((await thrownBy(work)).message).toBe("not wanted any more");
  });

  it("does not start ffmpeg for work that is cancelled before it begins, nor leaves it when it has just been started", async () => {
    const shop = new Workshop(tools);
    const task = await longTask(shop);
    await expect(doTask("video.span", task, shop.hand(AbortSignal.abort(new Error("too late")), {}))).rejects.toThrow("too late");
    const controller = new AbortController();
    const work = doTask("video.span", task, shop.hand(controller.signal, {}));
    controller.abort(new Error("in between"));
    await expect(work).rejects.toThrow("in between");
  });

  it("takes ffmpeg along when the process is killed", async () => {
    const script = hostScript(paths, await sources.path("long.mp4"));
    // What a process leaves behind that is killed goes with the folder of this test.
    const host = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: "ignore",
      env: { ...process.env, TMPDIR: folder },
    });
    const child = await eventually(async () => (await childrenOf(host.pid ?? 0)).find(({ command }) => /^\S*ffmpeg .*240p/.test(command)), {
      what: "ffmpeg",
    });
    host.kill("SIGKILL");
    await eventually(async () => !(await isAlive(child.pid)), { what: "the end of ffmpeg" });
    expect(await isAlive(child.pid)).toBe(false);
  });

  it("runs ffmpeg without the secrets of the server, without core dumps, and without the right to write a file", async () => {
    const shop = new Workshop(tools);
    const controller = new AbortController();
    const work = doTask("video.span", await longTask(shop), shop.hand(controller.signal, {}));
    try {
      const child = await eventually(async () => (await childrenOf(process.pid)).find(({ command }) => /^\S*ffmpeg /.test(command)), {
        what: "ffmpeg",
      });
      const environment = (await readFile(`/proc/${child.pid}/environ`, "utf8")).split("\0").map((entry) => entry.split("=", 1)[0]);
      expect(environment.filter((name) => name !== "")).toEqual(["PATH", "GCONV_PATH"]);
      const limits = await readFile(`/proc/${child.pid}/limits`, "utf8");
      expect(limits).toMatch(/Max core file size\s+0\s+0/);
      expect(limits).toMatch(/Max file size\s+0\s+0/);
      expect(limits).toMatch(/Max address space\s+6442450944/);
    } finally {
      controller.abort(new Error("seen enough"));
      await thrownBy(work);
    }
  });

  it.each(["inspection", "conversion"])("blames the disks and not the source when the disks fail in the middle of a %s", async (stage) => {
    const shop = new Workshop(tools);
    const source = shop.store(await readFile(await sources.path("faststart.mp4")));
    const task = await plainTask(shop, "faststart.mp4");
    let finished = false;
    const broken: Partial<Ports> = {
      read: async (blob, start, end) => Readable.from(failing(shop.bytesOf(blob).subarray(start, end))),
      finish: async () => void (finished = true),
    };
    const sick = new Workshop(tools, broken);
    sick.blobs.set(source.blob, shop.bytesOf(source.blob));
    const work = stage === "inspection" ? sick.plan(source) : doTask("video.span", task, sick.hand(new AbortController().signal, {}));
    expect(errorType(await thrownBy(work))).toBe("DISK_UNAVAILABLE");
    expect(finished).toBe(false);
  });

  it.each([
    ["keeps a span that has all its frames", 0.9, undefined],
    ["gives back a span that lacks some", 0.05, "SERVICE_UNAVAILABLE"],
  ])("%s, when the bytes behind what has come are late", async (_, share, expected) => {
    const shop = new Workshop(tools);
    const task = await plainTask(shop, "long-faststart.mp4");
    const open: Ports["open"] = ({ blob = "", size }) => ({
      size,
      read: async (start, end) => Readable.from(late(shop.bytesOf(blob).subarray(start, Math.min(end, Math.floor(share * size))))),
    });
    const work = doTask("video.span", task, shop.hand(new AbortController().signal, { open }));
    expect(errorType(await work.catch((error: unknown) => error))).toBe(expected);
  });

  it.each([
    ["put", "NOT_ENOUGH_DISKS"],
    ["publish", "JOB_LOST"],
    ["finish", "JOB_LOST"],
  ] as const)("stops, and says why, when %s fails with %s", async (port, type) => {
    const faults = { [port]: async () => await Promise.reject(failure(type, "as the test wants it")) };
    const shop = new Workshop(tools);
    const task = await longTask(shop);
    expect(errorType(await thrownBy(doTask("video.span", task, shop.hand(new AbortController().signal, faults))))).toBe(type);
  });

  it("holds one segment of a rendition at a time, however slow the disks are", async () => {
    const shop = new Workshop(tools);
    const task = await longTask(shop);
    let storing = 0;
    let most = 0;
    const put: Ports["put"] = async (bytes) => {
      most = Math.max(most, ++storing);
      for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setImmediate(resolve));
      storing -= 1;
      return shop.store(bytes);
    };
    const published: number[] = [];
    const publish: Ports["publish"] = async ({ rendition, segments }) =>
      void (rendition === "240p" && published.push(...segments.map(({ number }) => number)));
    await doTask("video.span", task, shop.hand(new AbortController().signal, { put, publish }));
    expect(most).toBeLessThanOrEqual(task.renditions.length);
    expect(published).toEqual(published.toSorted((a, b) => a - b));
    expect(published.length).toBeGreaterThan(10);
  });
});

async function plainTask(shop: Workshop, name: string): Promise<SpanTask> {
  const { plan } = await shop.plan(shop.store(await readFile(await sources.path(name))));
  return taskOf("video.span", plan.tasks.find(({ kind }) => kind === "video.span")?.payload);
}

/** A minute's work in fifteen segments and one span: long enough to be interrupted. */
async function longTask(shop: Workshop): Promise<SpanTask> {
  const source = shop.store(await readFile(await sources.path("long.mp4")));
  const { facts } = await shop.plan(source);
  const { tasks } = planOf({ ...facts, seekable: false }, { ...source, demuxer: "mov" }, { preset: "ultrafast", startPriority: 1000 });
  return taskOf("video.span", tasks.find(({ kind }) => kind === "video.span")?.payload);
}

/** For an import in a program that is text. */
function moduleAt(path: string): string {
  return JSON.stringify(join(import.meta.dirname, "../..", path));
}

/** A program that converts a source again and again. */
function hostScript(paths: ProgramPaths, source: string): string {
  return `
    import { openTools } from ${moduleAt("services/transcoder/ffmpeg/sandbox.ts")};
    import { Workshop } from ${moduleAt("test/support/conversion.ts")};
    const tools = await openTools(${JSON.stringify(paths)}, 3600);
    for (;;) await new Workshop(tools).convert(${JSON.stringify(source)});`;
}

/** Half of the bytes, then the error of a disk. */
async function* failing(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes.subarray(0, bytes.length / 2);
  throw failure("DISK_UNAVAILABLE", "The disk went away.");
}

async function jobFolders(tools: Tools): Promise<string[]> {
  return (await readdir(dirname(tools.ffmpeg))).filter((name) => name.startsWith("job-"));
}

describe("the count of a source's packets", () => {
  const packets = "echo 0,0,0,512,K__; echo 0,512,512,512,___; echo broken >&2;";

  it("does not take what was read until ffprobe was killed for the whole source", async () => {
    const error = await thrownBy(packetsBy(`${packets} kill -KILL $$`));
    expect(error).toMatchObject({ type: "TRANSCODE_FAILED", retryable: true, data: { log: "broken\n" } });
  });

  it("takes what there is of a source that ends early", async () => {
    expect(await packetsBy(`${packets} exit 1`)).toBe(2);
  });
});

describe("the search for ffmpeg", () => {
  const nothing = { ffmpeg: undefined, ffprobe: undefined };

  it("refuses what the configuration names and is not there, instead of taking another", async () => {
    await expect(openTools({ ...nothing, ffmpeg: "/nowhere/ffmpeg" }, 60)).rejects.toThrow(
      /no usable ffmpeg.*apt-get install ffmpeg.*FFMPEG_PATH/,
    );
  });

  it("refuses a program that is not ffmpeg", async () => {
    await expect(openTools({ ...nothing, ffmpeg: "/bin/true" }, 60)).rejects.toThrow("is not ffmpeg");
  });

  it("takes PATH before the packages", async () => {
    const path = await pathWith({ ffmpeg: fakeEncoders("aac", "libx264"), ffprobe: "echo ffprobe version fake" });
    expect(await openToolsWith(path)).toMatchObject({
      ffmpeg: { found: "path", version: "ffmpeg version fake" },
      ffprobe: { found: "path" },
    });
  });

  it("takes the packages where PATH has nothing, and does without the protection that the machine has not", async () => {
    const found = await openToolsWith(await pathWith({}));
    expect(found).toMatchObject({ ffmpeg: { found: "package" }, ffprobe: { found: "package" }, leftOut: ["nice", "prlimit", "setpriv"] });
    expect(found.launched).toMatch(/^ffmpeg version/);
  });

  it("passes over an ffmpeg that cannot encode what is needed", async () => {
    expect(await openToolsWith(await pathWith({ ffmpeg: fakeEncoders("aac") }))).toMatchObject({ ffmpeg: { found: "package" } });
  });
});

/** How many packets are counted by an ffprobe that is this line of shell. */
async function packetsBy(script: string): Promise<number> {
  const ffprobe = join(await pathWith({ ffprobe: script }), "ffprobe");
  const signal = new AbortController().signal;
  return (await readTimeline({ ffprobe, folder, url: "http://127.0.0.1:9", demuxer: "mov", limits: LIMITS, signal })).packets;
}

/** Opens the tools in a process that has this PATH, and runs the launcher of ffmpeg. */
async function openToolsWith(path: string): Promise<{ ffmpeg: object; ffprobe: object; leftOut: string[]; launched: string }> {
  const script = `
    import { execFileSync } from "node:child_process";
    import { openTools } from ${moduleAt("services/transcoder/ffmpeg/sandbox.ts")};
    const tools = await openTools({ ffmpeg: undefined, ffprobe: undefined }, 60);
    const launched = execFileSync(tools.ffmpeg, ["-hide_banner", "-version"], { encoding: "utf8" });
    console.log(JSON.stringify({ ...tools.programs, leftOut: tools.leftOut, launched }));
    await tools.close();`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script], { env: { PATH: path } });
  return JSON.parse(stdout) as Awaited<ReturnType<typeof openToolsWith>>;
}

/** A PATH with what a shell needs and these programs, each a line of shell. */
async function pathWith(programs: Record<string, string>): Promise<string> {
  const at = join(folder, randomUUID());
  await mkdir(at);
  for (const name of ["sh", "env"]) await symlink(`/usr/bin/${name}`, join(at, name));
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(join(at, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(at, name), 0o755);
  }
  return at;
}

function fakeEncoders(...names: string[]): string {
  const list = names.map((name) => `echo " V....D ${name} about"`).join("; ");
  return `case "$2" in -version) echo ffmpeg version fake ;; -encoders) ${list} ;; esac`;
}

/** What has come of a source, and no more. */
function* late(bytes: Uint8Array): Generator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
  throw new NotYetThere(bytes.length, "The rest has not come.");
}
