/** Memory and CPU of processes, read from /proc: Linux only, like the machines that the figures are published from. */
import { readdir, readFile } from "node:fs/promises";

const MiB = 1024 * 1024;

/** Resident memory of a process, MiB (VmRSS of /proc/PID/status); 0 when it is gone. */
async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return (Number(/^VmRSS:\s+([0-9]+) kB/m.exec(status)?.[1] ?? 0) * 1024) / MiB;
}

/** A process and everything below it. */
export async function family(root: number): Promise<{ pid: number; command: string }[]> {
  const ids = (await readdir("/proc")).filter((name) => /^[0-9]+$/.test(name)).map(Number);
  const all = await Promise.all(ids.map(async (pid) => ({ pid, ...(await identity(pid)) })));
  const members = new Set([root]);
  // Children have higher ids than their parents but for a wrap-around, so a few passes find every level.
  for (let pass = 0; pass < 4; pass++) for (const process of all) if (members.has(process.parent)) members.add(process.pid);
  return all.filter((process) => members.has(process.pid));
}

async function identity(pid: number): Promise<{ parent: number; command: string }> {
  const [stat, command] = await Promise.all(["stat", "cmdline"].map((name) => readFile(`/proc/${pid}/${name}`, "utf8").catch(() => "")));
  const parent = Number((stat ?? "").slice((stat ?? "").lastIndexOf(")") + 2).split(" ")[1] ?? -1);
  return { parent, command: (command ?? "").split("\0").slice(0, 3).join(" ") };
}

/** Ticks of the processor's clock a second, as /proc counts them on every Linux that Node runs on. */
const TICKS = 100;

/** CPU that processes have taken so far, user and system, seconds; 0 for one that is gone. */
export async function cpuSeconds(pids: readonly number[]): Promise<number> {
  return await ticksOf(pids, 2);
}

/** The same of one process, and of all that it started and that have ended. */
export async function familySeconds(pid: number): Promise<number> {
  return await ticksOf([pid], 4);
}

/** Sum of so many fields of /proc/PID/stat, seconds: user, system, and both of children that were waited for. */
async function ticksOf(pids: readonly number[], fields: 2 | 4): Promise<number> {
  const stats = await Promise.all(pids.map(async (pid) => await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "")));
  // Behind the name of the command, which may hold anything: state, then 10 numbers, then the times.
  const ticks = stats
    .flatMap((stat) =>
      stat
        .slice(stat.lastIndexOf(")") + 2)
        .split(" ")
        .slice(11, 11 + fields),
    )
    .map(Number);
  return ticks.reduce((sum, each) => sum + each, 0) / TICKS;
}

export interface MemoryWatch {
  /** Highest growth of each process since the start of the watch, MiB. */
  stop(): { pid: number; command: string; idleMiB: number; peakMiB: number }[];
}

/** Samples five times a second: an upload of a gigabyte takes seconds. */
const SAMPLE_MS = 200;

export async function watchMemory(root: number): Promise<MemoryWatch> {
  const processes = await family(root);
  const rows = await Promise.all(processes.map(async (process) => ({ ...process, idleMiB: await residentMiB(process.pid), peakMiB: 0 })));
  const timer = setInterval(() => {
    for (const row of rows) void residentMiB(row.pid).then((now) => (row.peakMiB = Math.max(row.peakMiB, now)));
  }, SAMPLE_MS);
  return {
    stop() {
      clearInterval(timer);
      return rows;
    },
  };
}
