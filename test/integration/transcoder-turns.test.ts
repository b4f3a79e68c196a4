/** Who goes first when several programs of a transcoder run at once: real processes, as the kernel sees them. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { Server } from "node:net";
import { getPriority } from "node:os";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { errorType } from "../../services/kernel/errors.ts";
import { convert } from "../../services/transcoder/ffmpeg/convert.ts";
import { CpuMeter } from "../../services/transcoder/ffmpeg/meter.ts";
import { Precedence } from "../../services/transcoder/ffmpeg/precedence.ts";
import { runFfmpeg, type FfmpegRun } from "../../services/transcoder/ffmpeg/run.ts";
import { openTools, type Tools } from "../../services/transcoder/ffmpeg/sandbox.ts";
import { describeWith } from "../support/neighbours.ts";
import { removeFolder, temporaryFolder } from "../support/tritontube.ts";

const PAUSE_MS = 8000;

async function isStopped(pid: number): Promise<boolean> {
  return /^State:\s+T/m.test(await readFile(`/proc/${pid}/status`, "utf8"));
}

/** Does without timers, which a test may have in its hands. */
async function untilStopped(pid: number, stopped: boolean): Promise<void> {
  while ((await isStopped(pid)) !== stopped) await new Promise((resolve) => setImmediate(resolve));
}

/** All signals that were sent before have been obeyed: one that is sent now has. */
async function settled(): Promise<void> {
  const witness = await begin();
  process.kill(witness, "SIGSTOP");
  await untilStopped(witness, true);
}

const processes: ChildProcess[] = [];
afterEach(async () => {
  jest.useRealTimers();
  const gone = processes.splice(0).map(async (child) => {
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  });
  await Promise.all(gone);
});

async function begin(): Promise<number> {
  const child = spawn("sleep", ["600"]);
  processes.push(child);
  await once(child, "spawn");
  return child.pid!;
}

describe("work that can wait", () => {
  it("stands still while somebody waits for something, also what begins then, and goes on when the last of it is done", async () => {
    const precedence = new Precedence();
    const before = await begin();
    precedence.begun(before);
    const [first, second] = [precedence.urgent("start"), precedence.urgent("start")];
    const meanwhile = await begin();
    precedence.begun(meanwhile);
    await untilStopped(before, true);
    await untilStopped(meanwhile, true);
    first();
    expect(await isStopped(before)).toBe(true);
    second();
    await untilStopped(before, false);
    await untilStopped(meanwhile, false);
  });

  it("goes on after some seconds whoever waits, and stands still again only when it has run for a while", async () => {
    jest.useFakeTimers({ doNotFake: ["setImmediate", "nextTick", "queueMicrotask"] });
    const precedence = new Precedence();
    const pid = await begin();
    precedence.begun(pid);
    const done = precedence.urgent("start");
    await untilStopped(pid, true);
    jest.advanceTimersByTime(PAUSE_MS);
    await untilStopped(pid, false);
    done();
    const soon = precedence.urgent("start");
    jest.advanceTimersByTime(PAUSE_MS / 2 - 1);
    await settled();
    expect(await isStopped(pid)).toBe(false);
    jest.advanceTimersByTime(1);
    await untilStopped(pid, true);
    // As long as it lasts, again and again.
    jest.advanceTimersByTime(PAUSE_MS);
    await untilStopped(pid, false);
    jest.advanceTimersByTime(PAUSE_MS / 2);
    await untilStopped(pid, true);
    soon();
    await untilStopped(pid, false);
    jest.advanceTimersByTime(PAUSE_MS);
    await settled();
    expect(await isStopped(pid)).toBe(false);
  });

  it("has its share of the time, however the waits of different people lie", async () => {
    jest.useFakeTimers({ doNotFake: ["setImmediate", "nextTick", "queueMicrotask"] });
    const precedence = new Precedence();
    const pid = await begin();
    const turns: boolean[] = [];
    precedence.begun(pid, undefined, (stopped) => turns.push(stopped));
    const start = precedence.urgent("start");
    jest.advanceTimersByTime(PAUSE_MS / 2);
    const wanted = precedence.urgent("wanted");
    jest.advanceTimersByTime(PAUSE_MS / 2);
    expect(turns).toEqual([true, false]);
    await untilStopped(pid, false);
    jest.advanceTimersByTime(PAUSE_MS / 2 - 1);
    expect(turns).toEqual([true, false]);
    jest.advanceTimersByTime(1);
    await untilStopped(pid, true);
    start();
    wanted();
    await untilStopped(pid, false);
  });

  it("stands still for a segment that somebody waits for even when it is the start of a video, and for that does not stand still itself", async () => {
    const precedence = new Precedence();
    const [patient, start, wanted] = [await begin(), await begin(), await begin()];
    precedence.begun(patient);
    precedence.begun(start, "start");
    precedence.begun(wanted, "wanted");
    const begun = precedence.urgent("start");
    await untilStopped(patient, true);
    expect([await isStopped(start), await isStopped(wanted)]).toEqual([false, false]);
    const waited = precedence.urgent("wanted");
    await untilStopped(start, true);
    expect(await isStopped(wanted)).toBe(false);
    begun();
    await settled();
    expect(await isStopped(patient)).toBe(true);
    waited();
    await untilStopped(patient, false);
    await untilStopped(start, false);
  });

  it("does not begin while it would stand still at once, and does when somebody has what he waited for", async () => {
    const precedence = new Precedence();
    const signal = new AbortController().signal;
    const begun: string[] = [];
    await precedence.mayBegin(signal);
    const done = precedence.urgent("start");
    const patient = precedence.mayBegin(signal).then(() => begun.push("patient"));
    await precedence.mayBegin(signal, "start");
    expect(begun).toEqual([]);
    done();
    await patient;
    expect(begun).toEqual(["patient"]);
  });

  it("is not begun at all when it is not wanted any more", async () => {
    const precedence = new Precedence();
    const over = new AbortController();
    const done = precedence.urgent("wanted");
    const waiting = precedence.mayBegin(over.signal, "start");
    over.abort("stopping");
    await expect(waiting).rejects.toBe("stopping");
    done();
  });

  it("is forgotten when it is gone", async () => {
    const precedence = new Precedence();
    const pid = await begin();
    const gone = precedence.begun(pid);
    gone();
    precedence.urgent("start")();
    expect(await isStopped(pid)).toBe(false);
  });
});

describeWith(["ffmpeg", "ffprobe"], "two programs that begin at the same moment", () => {
  let folder: string;
  let tools: Tools;
  beforeAll(async () => {
    folder = await temporaryFolder("tritontube-turns-");
    tools = await openTools({ ffmpeg: undefined, ffprobe: undefined }, 60);
  });
  afterAll(async () => {
    await tools.close();
    await removeFolder(folder);
  });

  /** Of what stands in for ffmpeg. */
  const runOf = (launcher: string): Omit<FfmpegRun, "turn"> => ({
    launcher,
    folder,
    command: { inputOptions: [], filter: null, outputs: [{ name: "out", options: [] }] },
    input: "in",
    target: () => "out",
    timeoutS: 60,
    signal: new AbortController().signal,
    running: Promise.resolve(),
    onTurn: () => {},
    meter: new CpuMeter(),
  });

  it("are each as nice as their work", async () => {
    const launcher = join(folder, "launcher");
    // Says how nice it is where ffmpeg has its last words.
    await writeFile(launcher, "#!/bin/sh\nnice >&2\n", { mode: 0o700 });
    const hurried = tools.hurry("start");
    // Or the patient one would stand still.
    hurried.done();
    const ended = await Promise.all(
      [tools, tools.prompt(), hurried.tools].map(async ({ turn }) => await runFfmpeg({ ...runOf(launcher), turn })),
    );
    const ours = getPriority();
    expect(ended.map(({ log }) => Number(log))).toEqual([12, 5, 5].map((nice) => Math.min(19, ours + nice)));
  });

  it("stand still for nobody, and nobody for them, when they are done in a moment", async () => {
    // Its own: after a pause nothing is stopped for a while.
    const fresh = await openTools({ ffmpeg: undefined, ffprobe: undefined }, 60);
    try {
      const [patient, prompt] = [await begin(), await begin()];
      fresh.turn.begun(patient, () => {});
      fresh.prompt().turn.begun(prompt, () => {});
      expect(await isStopped(patient)).toBe(false);
      const { done } = fresh.hurry("start");
      await untilStopped(patient, true);
      expect(await isStopped(prompt)).toBe(false);
      done();
      await untilStopped(patient, false);
    } finally {
      await fresh.close();
    }
  });

  it("have the time in which they stand still besides", async () => {
    jest.useFakeTimers({ doNotFake: ["setImmediate", "nextTick", "queueMicrotask"] });
    const launcher = join(folder, "lasting");
    await writeFile(launcher, "#!/bin/sh\nexec sleep 600\n", { mode: 0o700 });
    const begun = Promise.withResolvers<(stopped: boolean) => void>();
    const turn = {
      niceness: 0,
      begun: (_pid: number, onTurn: (stopped: boolean) => void) => {
        begun.resolve(onTurn);
        return () => {};
      },
    };
    const turns: boolean[] = [];
    const onTurn = (stopped: boolean): void => void turns.push(stopped);
    let failed: unknown;
    const ended = runFfmpeg({ ...runOf(launcher), turn, onTurn }).catch((error: unknown) => (failed = error));
    const tell = await begun.promise;
    jest.advanceTimersByTime(30_000);
    tell(true);
    jest.advanceTimersByTime(3_600_000);
    tell(false);
    jest.advanceTimersByTime(29_000);
    for (let n = 0; n < 100; n++) await new Promise((resolve) => setImmediate(resolve));
    expect(failed).toBeUndefined();
    jest.advanceTimersByTime(1000);
    jest.useRealTimers();
    await ended;
    expect(errorType(failed)).toBe("TRANSCODE_TIMEOUT");
    expect(turns).toEqual([true, false]);
  });

  it("leave no timer and no folder when their source cannot be shown to them", async () => {
    jest.useFakeTimers({ doNotFake: ["setImmediate", "nextTick", "queueMicrotask"] });
    const listen = jest.spyOn(Server.prototype, "listen").mockImplementation(function (this: Server) {
      this.emit("error", new Error("no port is free"));
      return this;
    });
    const before = await readdir(dirname(tools.ffmpeg));
    const { command, timeoutS, signal } = runOf("");
    const source = { size: 1, read: async () => Readable.from([]) };
    try {
      const failed = convert({ tools, command, timeoutS, signal, source, take: async () => {} });
      await expect(failed).rejects.toThrow("no port is free");
    } finally {
      listen.mockRestore();
    }
    expect(jest.getTimerCount()).toBe(0);
    expect(await readdir(dirname(tools.ffmpeg))).toEqual(before);
  });

  it("are not stopped before they run themselves: what starts them would outlive a transcoder that is killed", async () => {
    const launcher = join(folder, "silent");
    await writeFile(launcher, "#!/bin/sh\n", { mode: 0o700 });
    const begun = jest.fn(() => () => {});
    const run = { ...runOf(launcher), turn: { niceness: 0, begun } };
    await runFfmpeg({ ...run, running: Promise.withResolvers<void>().promise });
    expect(begun).not.toHaveBeenCalled();
    await runFfmpeg(run);
    expect(begun).toHaveBeenCalledTimes(1);
  });
});
