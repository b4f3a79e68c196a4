import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "mistakes");
const compiler = join(import.meta.dirname, "../../../node_modules/typescript/bin/tsc");

/** "calls.ts:6 TS2339" for every line that announces a code. */
function announced(): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".ts"))
    .flatMap((name) =>
      readFileSync(join(folder, name), "utf8")
        .split("\n")
        .flatMap((line, index) => (/\/\/ .*: (TS\d+)$/.exec(line) ?? []).slice(1).map((code) => `${name}:${index + 1} ${code}`)),
    );
}

it("does not compile a call, an event or a service that breaks its contract, and compiles one that keeps it", () => {
  const { stdout } = spawnSync(process.execPath, [compiler, "-p", folder, "--pretty", "false"], { cwd: folder, encoding: "utf8" });
  const refused = [...stdout.matchAll(/^(\S+)\((\d+),\d+\): error (TS\d+)/gm)].map(([, name, line, code]) => `${name}:${line} ${code}`);
  expect(announced()).toHaveLength(13);
  expect(refused.toSorted()).toEqual(announced().toSorted());
});
