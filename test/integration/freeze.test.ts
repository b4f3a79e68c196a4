/** Runs that break things make processes stand still, and may be ended in the middle of it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { eventually } from "../support/eventually.ts";

const FREEZE = join(import.meta.dirname, "../../bench/freeze.ts");

/** "S" sleeps, "R" runs, "T" stands still (proc(5)). */
async function stateOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2)[0];
}

it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("lets whoever stands still go on when it is ended by %s", async (signal) => {
  const victim = spawn("sleep", ["600"]);
  const pid = victim.pid!;
  const script = `const { freeze } = await import(${JSON.stringify(FREEZE)}); await freeze([${pid}], () => new Promise(() => process.stdin.resume()));`;
  const run = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["pipe", "inherit", "inherit"] });
  await eventually(async () => (await stateOf(pid)) === "T", { what: "the process to stand still" });
  run.kill(signal);
  await once(run, "exit");
  const isAsleep = eventually(async () => (await stateOf(pid)) === "S", { what: "the process to go on, and sleep as before" });
  await expect(isAsleep).resolves.toBe(true);
  victim.kill("SIGKILL");
  await once(victim, "exit");
});
