/** Signals from outside: whoever is meant may be gone, and who was made to stand still goes on, however the run ends. */

/** A negative number is a whole group. Answers how many of them were there: some have just ended. */
export function signal(pids: readonly number[], name: NodeJS.Signals): number {
  return pids.filter((pid) => reach(pid, name)).length;
}

function reach(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

/** Also for who ends a run in the middle with ctrl-C. */
export function whenEnding(mend: () => void): void {
  process.once("exit", mend);
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => process.exit(1));
}

const frozen = new Set<number>();
let watching = false;

/** They stand still until `pause` is over, or this process ends: nobody else would wake them. Answers whether anybody was there. */
export async function freeze(pids: readonly number[], pause: () => Promise<void>): Promise<boolean> {
  if (!watching) whenEnding(() => signal([...frozen], "SIGCONT"));
  watching = true;
  for (const pid of pids) frozen.add(pid);
  const stopped = signal(pids, "SIGSTOP");
  if (stopped > 0) await pause();
  signal(pids, "SIGCONT");
  for (const pid of pids) frozen.delete(pid);
  return stopped > 0;
}
