/** Tests that become other users, which only root can. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

/** The number of `nobody`, who is on every machine. */
export const NOBODY = 65_534;

/** `describe` for tests that start programs of this project as another user. Skipped where that cannot be, with the reason in the title. */
export function describeAsRoot(title: string, body: () => void): void {
  const need = missing();
  if (need === undefined) describe(title, body);
  else describe.skip(`${title} [needs ${need}]`, body);
}

function missing(): string | undefined {
  if (process.getuid?.() !== 0) return "root: run the tests as root";
  const tried = spawnSync(process.execPath, ["-e", "0"], { uid: NOBODY, gid: NOBODY, cwd: "/" });
  return tried.status === 0 ? undefined : `a folder that others may read: chmod o+x on the way to ${join(import.meta.dirname, "../..")}`;
}
