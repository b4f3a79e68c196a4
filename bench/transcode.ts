/**
 * `npm run bench:transcode [-- --parts cost,speed,estimate,first-frame,seek,mixed] [-- --minutes 1] [-- --whole]`: what it costs and what it brings that a film is
 * converted in spans. The same film, made here: by one ffmpeg with the same ladder and settings, by one transcoder, by two and four, each on a core
 * of its own, and by up to 64, simulated with the times that were measured. Then in Chromium: when the first frame of 10 and of 60 minutes is on the screen,
 * and the frame that somebody leaps to. And fifty clips that come while a film is converted.
 *
 * `estimate` tells how wrong the server was about the time that is left. `cost`, `speed` and `estimate` take a film of `--minutes`; `--whole` takes ten. The films stay in a folder for the next run (`--films`).
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { removeFolder, temporaryFolder } from "../test/support/tritontube.ts";
import { compareCost, compareSpeed } from "./transcode/cost.ts";
import { checkEstimates } from "./transcode/estimate.ts";
import { filmOf } from "./transcode/films.ts";
import { watchShorts } from "./transcode/mixed.ts";
import { watchFilms } from "./transcode/viewing.ts";

const { values } = parseArgs({
  options: {
    parts: { type: "string", default: "cost,speed,estimate,first-frame,seek,mixed" },
    minutes: { type: "string", default: "1" },
    whole: { type: "boolean", default: false },
    rounds: { type: "string", default: "3" },
    films: { type: "string", default: join(tmpdir(), "tritontube-films") },
  },
});
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const parts = new Set(values.parts.split(","));
const minutes = values.whole ? 10 : Number(values.minutes);
const rounds = Number(values.rounds);

const folder = await temporaryFolder("tritontube-bench-transcode-");
try {
  if (parts.has("cost")) await compareCost(await filmOf(values.films, minutes), minutes, folder, say);
  if (parts.has("speed")) await compareSpeed(await filmOf(values.films, minutes), say);
  if (parts.has("estimate")) await checkEstimates(await filmOf(values.films, minutes), say);
  if (parts.has("first-frame") || parts.has("seek")) {
    const films = { long: await filmOf(values.films, 10), longest: await filmOf(values.films, 60) };
    await watchFilms(films, { firstFrame: parts.has("first-frame"), seek: parts.has("seek"), rounds }, say);
  }
  if (parts.has("mixed")) await watchShorts(values.films, say);
} finally {
  await removeFolder(folder);
}
