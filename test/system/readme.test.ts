/** The README's first commands, run as they stand there: only the address, the film and the player are this test's own. */
import { execFile } from "node:child_process";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { untilStatus } from "../support/client.ts";
import { decodeFrames, makeSource } from "../support/media.ts";
import { commandsUnder } from "../support/readme.ts";
import { removeFolder, startTritonTube, temporaryFolder, type TritonTube } from "../support/tritontube.ts";

const README_ADDRESS = "http://127.0.0.1:3000";

describe("the README", () => {
  let tube: TritonTube;
  let folder: string;
  beforeAll(async () => {
    folder = await temporaryFolder("tritontube-readme-");
    await rename(await makeSource(folder, { seconds: 2, size: "320x240" }), join(folder, "film.mp4"));
    tube = await startTritonTube();
  }, 240_000);
  afterAll(async () => {
    await tube.stop();
    await Promise.all([removeFolder(tube.dataDir), removeFolder(folder)]);
  }, 240_000);

  it("starts with one line that a newcomer can paste", () => {
    expect(commandsUnder("Run it")[0]).toEqual(["npm ci && npm start"]);
  });

  it("uploads with curl, asks for the status, and plays", async () => {
    const [upload = "", status = "", play = ""] = commandsUnder("Run it")[1] ?? [];
    const script = [upload, status, `printf '\\n%s' "$ID"`].join("\n").replaceAll(README_ADDRESS, tube.url);
    const { stdout } = await promisify(execFile)("bash", ["-euo", "pipefail", "-c", script], { cwd: folder });
    const [answer = "", id = ""] = stdout.split("\n");
    expect(JSON.parse(answer)).toMatchObject({ data: { id } });

    await untilStatus(tube.url, id, ["ready"]);
    const [player, address = ""] = play.split(" ");
    expect(player).toBe("ffplay");
    expect(await decodeFrames(address.replace(README_ADDRESS, tube.url).replace("$ID", id))).toBe(60);
  }, 240_000);
});
