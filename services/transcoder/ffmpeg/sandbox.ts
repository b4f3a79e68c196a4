/**
 * Programs that read strangers' files run behind a launcher: without the server's environment (its secrets), with limits that the kernel keeps,
 * and tied to the life of this process. What a machine does not offer is left out, and said.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { locate, type ProgramPaths, type Programs } from "./locate.ts";
import { Precedence, type Urgency } from "./precedence.ts";

const run = promisify(execFile);

const GiB = 1024 ** 3;
/** Measured peaks of address space with eight threads: 2.5 GB for 4K, 4.3 GB for 10 bit 8K, each into the whole ladder. */
const ADDRESS_SPACE_BYTES = 6 * GiB;
/** Six outputs, the source, and libraries. */
const OPEN_FILES = 64;
/** CPU seconds for each second of the longest source: the ladder takes 2 at 30 frames a second, slow presets and 60 frames ten times that. */
const CPU_PER_SECOND = 50;
/** What a person waits for (requests, pages) goes first; of two conversions the urgent one, which gets five times the processor time of the other. */
const NICENESS = { usual: 12, urgent: 5 } as const;
const CHECK_MS = 20_000;

/** How far an ffmpeg stands back behind others. */
export interface Turn {
  /** A number for `nice`; 0 where the machine has none. */
  readonly niceness: number;
  /** Resolves when a process may be started. Rejects with the signal's reason. */
  mayBegin(signal: AbortSignal): Promise<void>;
  /** To be told of each process, once it runs; `onTurn` is told when that stands still, and when it goes on. Call the answer when it is gone. */
  begun(pid: number, onTurn: (stopped: boolean) => void): () => void;
}

export interface Tools {
  /** Launchers: paths of programs to run instead of the real ones. */
  readonly ffmpeg: string;
  readonly ffprobe: string;
  readonly turn: Turn;
  /** The same tools for what somebody waits for and is done in a moment: it neither stands still nor makes others do so. */
  prompt(): Tools;
  /** The same tools for work that somebody waits for. Until `done` is called, what can wait stands still (precedence.ts). */
  hurry(urgency: Urgency): { readonly tools: Tools; readonly done: () => void };
  readonly programs: Programs;
  /** What the machine lacks of the protection, for the log. */
  readonly leftOut: readonly string[];
  /** A new empty folder that only this user can enter; relative paths of a program end there, and its outputs' sockets are in it. */
  folder(): Promise<string>;
  /** Removes everything that was written. Call it when no program runs any more. */
  close(): Promise<void>;
}

/** Removes what transcoders left that were killed: a few kilobytes each, or 79 MB where ffprobe had to be copied. */
async function sweep(): Promise<void> {
  const names = await readdir(tmpdir());
  const left = names.filter((name) => {
    const pid = /^tritontube-ffmpeg-([0-9]+)-/.exec(name)?.[1];
    return pid !== undefined && !isAlive(Number(pid));
  });
  await Promise.all(left.map(async (name) => await removeFolder(join(tmpdir(), name)).catch(() => undefined)));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // Another user's process cannot be signalled, but is there.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Finds the programs and puts launchers around them. Throws when there are no usable programs. */
export async function openTools(configured: ProgramPaths, secondsMax: number): Promise<Tools> {
  await sweep();
  const root = await mkdtemp(join(tmpdir(), `tritontube-ffmpeg-${process.pid}-`));
  try {
    const programs = await locate(configured, root);
    const { nice, prefix, leftOut } = await protections(programs.ffprobe.path, secondsMax);
    const ffmpeg = await writeLauncher(join(root, "ffmpeg"), prefix, programs.ffmpeg.path);
    const ffprobe = await writeLauncher(join(root, "ffprobe"), [...nice, ...prefix], programs.ffprobe.path);
    if (!(await succeeds([ffprobe, "-version"]))) {
      throw new Error(`Programs cannot be run from ${tmpdir()} (is it mounted noexec?): set TMPDIR to a folder where they can.`);
    }
    const tools = {
      ffmpeg,
      ffprobe,
      programs,
      leftOut,
      folder: async () => await mkdtemp(join(root, "job-")),
      close: async () => await removeFolder(root),
    };
    return inTurn(tools, nice.length > 0, new Precedence());
  } catch (error) {
    await removeFolder(root);
    throw error;
  }
}

function inTurn(rest: Omit<Tools, "turn" | "prompt" | "hurry">, canBeNice: boolean, precedence: Precedence): Tools {
  const turn = (niceness: number, urgency?: Urgency): Turn => ({
    niceness: canBeNice ? niceness : 0,
    mayBegin: async (signal) => await precedence.mayBegin(signal, urgency),
    begun: (pid, onTurn) => precedence.begun(pid, urgency, onTurn),
  });
  const tools: Tools = {
    ...rest,
    turn: turn(NICENESS.usual),
    prompt: () => ({ ...tools, turn: { ...turn(NICENESS.urgent), mayBegin: async () => {}, begun: () => () => {} } }),
    hurry: (urgency) => ({ tools: { ...tools, turn: turn(NICENESS.urgent, urgency) }, done: precedence.urgent(urgency) }),
  };
  return tools;
}

export async function removeFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 5 });
}

interface Protections {
  /** For ffprobe, which somebody always waits for: in front of the others. */
  readonly nice: readonly string[];
  readonly prefix: readonly string[];
  readonly leftOut: readonly string[];
}

/** Commands that change how the program behind them runs, outermost first; each is tried with a program that only says its version. */
async function protections(program: string, secondsMax: number): Promise<Protections> {
  const wanted: readonly (readonly string[])[] = [
    ["nice", "-n", String(NICENESS.urgent)],
    [
      "prlimit",
      "--core=0",
      // Everything goes out through sockets: a program that writes a file does what nobody asked it for.
      "--fsize=0",
      `--as=${ADDRESS_SPACE_BYTES}`,
      `--cpu=${CPU_PER_SECOND * secondsMax}`,
      `--nofile=${OPEN_FILES}`,
    ],
    // The last: whatever starts a process after it, or changes the user, clears it.
    ["setpriv", "--pdeathsig", "KILL"],
  ];
  const works = await Promise.all(wanted.map(async (command) => await succeeds([...command, program, "-version"])));
  const [nice = [], ...prefix] = wanted.map((command, index) => (works[index] ? command : []));
  return { nice, prefix: prefix.flat(), leftOut: wanted.filter((_, index) => !works[index]).map(([name = ""]) => name) };
}

async function succeeds([command = "", ...args]: readonly string[]): Promise<boolean> {
  return await run(command, args, { timeout: CHECK_MS }).then(
    () => true,
    () => false,
  );
}

async function writeLauncher(path: string, prefix: readonly string[], program: string): Promise<string> {
  const command = [...prefix, program].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  // A statically linked glibc that loads the converters of this machine's glibc crashes: npm's ffprobe on every transport stream.
  await writeFile(path, `#!/bin/sh\nexec env -i PATH="$PATH" GCONV_PATH=/nonexistent ${command} "$@"\n`, { mode: 0o700 });
  return path;
}
