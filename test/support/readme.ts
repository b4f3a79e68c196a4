/** What the README tells a newcomer to type. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");

/** The commands of each shell block below a heading, without their comments. */
export function commandsUnder(heading: string): string[][] {
  const section = new RegExp(`^## ${heading}\n([^]*?)(?=^## )`, "m").exec(readme)?.[1] ?? "";
  return [...section.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, block = ""]) =>
    block
      .split("\n")
      .map((line) => line.replace(/\s+#.*$/, "").trim())
      .filter((line) => line !== ""),
  );
}
