/** The guide to the API, run as it stands there, where people sign in: its commands, and its client. Only the address and the film are this test's own. */
import { execFile, type ExecFileOptions } from "node:child_process";
import { readFileSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { makeSource } from "../support/media.ts";
import { removeFolder, startTritonTube, temporaryFolder, type TritonTube } from "../support/tritontube.ts";

const root = join(import.meta.dirname, "../..");
const guide = readFileSync(join(root, "docs/api.md"), "utf8");
const blocks = [...guide.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, block = ""]) => block);
const PATIENCE_MS = 240_000;

describe("the guide to the API", () => {
  let tube: TritonTube;
  let folder: string;
  let env: NodeJS.ProcessEnv;
  beforeAll(async () => {
    folder = await temporaryFolder("tritontube-guide-");
    await rename(await makeSource(folder, { seconds: 2, size: "320x240" }), join(folder, "film.mp4"));
    tube = await startTritonTube({ env: { AUTH_MODE: "token", X264_PRESET: "ultrafast" } });
    env = { ...process.env, NODE_OPTIONS: "", DATA_DIR: tube.dataDir, TRITONTUBE: tube.url };
  }, PATIENCE_MS);
  afterAll(async () => {
    await tube.stop();
    await Promise.all([removeFolder(tube.dataDir), removeFolder(folder)]);
  }, PATIENCE_MS);

  const run = async (program: string, args: readonly string[], options: ExecFileOptions): Promise<string> =>
    String((await promisify(execFile)(program, [...args], { timeout: PATIENCE_MS, ...options })).stdout);

  it(
    "leads from a first token to a private video that a stranger plays",
    async () => {
      const commands = blocks.join("\n").replaceAll("http://127.0.0.1:3000", tube.url).replaceAll("npm run", `npm --prefix "${root}" run`);
      const output = await run("bash", ["-euo", "pipefail", "-c", `${commands}\nprintf '\\n%s' "$TOKEN"`], { cwd: folder, env });
      expect(output).toContain('"title":"Our film"');
      expect(output).toContain("#EXTM3U");
      env = { ...env, TOKEN: output.split("\n").at(-1) ?? "" };
    },
    PATIENCE_MS,
  );

  it(
    "has a client whose every step succeeds",
    async () => {
      const output = await run(process.execPath, [join(root, "docs/film.ts"), join(folder, "film.mp4")], { env });
      const said = output
        .trim()
        .split("\n")
        .filter((line) => !line.includes("%"));
      expect(said).toEqual([
        "film: 2 s in 240p",
        "found: true",
        "renamed: Our film",
        "too late: VIDEO_CHANGED",
        "anybody may play it: true",
        "back from the trash: ready",
      ]);
    },
    PATIENCE_MS,
  );
});
