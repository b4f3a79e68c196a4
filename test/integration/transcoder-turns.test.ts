/** Who goes first when several programs of a transcoder run at once: real processes, as the kernel sees them. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { getPriority } from "node:os";
import { join } from "node:path";
import { Precedence } from "../../services/transcoder/ffmpeg/precedence.ts";
import { runFfmpeg } from "../../services/transcoder/ffmpeg/run.ts";
import { openTools, type Tools } from "../../services/transcoder/ffmpeg/sandbox.ts";
import { describeWith } from "../support/neighbours.ts";
import { removeFolder, temporaryFolder } from "../support/tritontube.ts";

const PAUSE_MS = 5000;

async function isStopped(pid: number): Promise<boolean> {
  return /^State:\s+T/m.test(await readFile(`/proc/${pid}/status`, "utf8"));
}

/** Does without timers, which a test may have in its hands. */
async function untilStopped(pid: number, stopped: boolean): Promise<void> {
  while ((await isStopped(pid)) !== stopped) await new Promise((resolve) => setImmediate(resolve));
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
    precedence.patient(before);
    const [first, second] = [precedence.urgent(), precedence.urgent()];
    const meanwhile = await begin();
    precedence.patient(meanwhile);
    await untilStopped(before, true);
    await untilStopped(meanwhile, true);
    first();
    expect(await isStopped(before)).toBe(true);
    second();
    await untilStopped(before, false);
    await untilStopped(meanwhile, false);
  });

  it("goes on after some seconds whoever waits, and is not stopped again before it has run for a while", async () => {
    jest.useFakeTimers({ doNotFake: ["setImmediate", "nextTick", "queueMicrotask"] });
    const precedence = new Precedence();
    const pid = await begin();
    precedence.patient(pid);
    const done = precedence.urgent();
    await untilStopped(pid, true);
    jest.advanceTimersByTime(PAUSE_MS);
    await untilStopped(pid, false);
    done();
    const tooSoon = precedence.urgent();
    const witness = await begin();
    precedence.patient(witness);
    process.kill(witness, "SIGSTOP");
    // A signal that came before is obeyed before.
    await untilStopped(witness, true);
    expect(await isStopped(pid)).toBe(false);
    tooSoon();
    jest.advanceTimersByTime(PAUSE_MS);
    precedence.urgent();
    await untilStopped(pid, true);
  });

  it("is forgotten when it is gone", async () => {
    const precedence = new Precedence();
    const pid = await begin();
    const gone = precedence.patient(pid);
    gone();
    precedence.urgent()();
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

  it("are each as nice as their work", async () => {
    const launcher = join(folder, "launcher");
    // Says how nice it is where ffmpeg has its last words.
    await writeFile(launcher, "#!/bin/sh\nnice >&2\n", { mode: 0o700 });
    const command = { inputOptions: [], filter: null, outputs: [{ name: "out", options: [] }] };
    const run = {
      launcher,
      folder,
      command,
      input: "in",
      target: () => "out",
      timeoutS: 60,
      signal: new AbortController().signal,
      running: Promise.resolve(),
    };
    const hurried = tools.hurry();
    const ended = await Promise.all([tools, tools.prompt(), hurried.tools].map(async ({ turn }) => await runFfmpeg({ ...run, turn })));
    hurried.done();
    const ours = getPriority();
    expect(ended.map(({ log }) => Number(log))).toEqual([12, 5, 5].map((nice) => Math.min(19, ours + nice)));
  });

  it("stand still for nobody, and nobody for them, when they are done in a moment", async () => {
    // Its own: after a pause nothing is stopped for a while.
    const fresh = await openTools({ ffmpeg: undefined, ffprobe: undefined }, 60);
    try {
      const [patient, prompt] = [await begin(), await begin()];
      fresh.turn.begun(patient);
      fresh.prompt().turn.begun(prompt);
      expect(await isStopped(patient)).toBe(false);
      const { done } = fresh.hurry();
      await untilStopped(patient, true);
      expect(await isStopped(prompt)).toBe(false);
      done();
      await untilStopped(patient, false);
    } finally {
      await fresh.close();
    }
  });

  it("are not stopped before they run themselves: what starts them would outlive a transcoder that is killed", async () => {
    const launcher = join(folder, "silent");
    await writeFile(launcher, "#!/bin/sh\n", { mode: 0o700 });
    const command = { inputOptions: [], filter: null, outputs: [{ name: "out", options: [] }] };
    const run = { launcher, folder, command, input: "in", target: () => "out", timeoutS: 60, signal: new AbortController().signal };
    const begun = jest.fn(() => () => {});
    await runFfmpeg({ ...run, turn: { niceness: 0, begun }, running: Promise.withResolvers<void>().promise });
    expect(begun).not.toHaveBeenCalled();
    await runFfmpeg({ ...run, turn: { niceness: 0, begun }, running: Promise.resolve() });
    expect(begun).toHaveBeenCalledTimes(1);
  });
});
