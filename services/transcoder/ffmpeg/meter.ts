/** What a process takes of processors, as the kernel counts it. Nobody can ask of one that is gone, so it is looked at again and again, and at the moment of its last byte. */
import { readFileSync } from "node:fs";

/** What /proc counts in on Linux, whatever the clock of the kernel (proc(5)). */
const TICKS_PER_SECOND = 100;
/** The last look is so much too early at most: of a span of ten seconds one per cent. Each takes 20 µs. */
const LOOK_MS = 200;

export class CpuMeter {
  #seconds = 0;
  #pid: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** User and system, of all threads; 0 on systems without /proc. */
  get seconds(): number {
    return this.#seconds;
  }

  begin(pid: number): void {
    this.#pid = pid;
    this.#timer = setInterval(() => this.look(), LOOK_MS);
  }

  look(): void {
    if (this.#pid === undefined) return;
    try {
      this.#seconds = Math.max(this.#seconds, cpuOf(this.#pid));
    } catch {
      // It is gone, or this is no Linux.
    }
  }

  /** The process is gone: its number may be another's soon. */
  end(): void {
    this.#pid = undefined;
    clearInterval(this.#timer);
  }
}

/** Fields 14 and 15 of /proc/PID/stat; the second is a name in brackets, which may hold spaces. */
function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
