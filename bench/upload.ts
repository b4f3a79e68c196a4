/**
 * `npm run bench:upload [-- --gigabytes 1 --rounds 3]`: one upload after the other to TritonTube (three copies, two durable before the answer, hashed
 * chunk by chunk) and to a plain node:http server that hashes and fsyncs one copy, in turns, with the same client. Prints the ratio, and what
 * memory each process of TritonTube took.
 */
import { fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { removeFolder, startTritonTube, temporaryFolder } from "../test/support/tritontube.ts";
import { watchMemory } from "./processes.ts";
import { rivalModule } from "./rival.ts";
import { median } from "./statistics.ts";

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;

/** Bytes that no earlier round has sent, so that nothing is deduplicated: one random mebibyte, numbered anew for each repetition. */
function uniqueBytes(size: number): Readable {
  const block = randomBytes(MiB);
  const produce = function* (): Generator<Buffer> {
    for (let sent = 0; sent < size; sent += MiB) {
      const part = Buffer.from(block.subarray(0, Math.min(MiB, size - sent)));
      part.writeUInt32BE(sent / MiB, 16);
      if (sent === 0) part.write("\0\0\0\x20ftypisom", 0, "latin1");
      yield part;
    }
  };
  return Readable.from(produce(), { objectMode: false, highWaterMark: MiB });
}

/** Uploads `size` bytes and answers the seconds from the first byte to the answer. */
async function upload(url: string, size: number): Promise<number> {
  const started = performance.now();
  const outgoing = request(url, {
    method: "POST",
    headers: { "content-type": "video/mp4", "content-length": size, "x-filename": "bench.mp4" },
  });
  const answered = once(outgoing, "response") as Promise<[IncomingMessage]>;
  await pipeline(uniqueBytes(size), outgoing);
  const [response] = await answered;
  const body = (await response.toArray()).join("");
  if (response.statusCode !== 202) throw new Error(`the server answered ${response.statusCode}: ${body}`);
  return (performance.now() - started) / 1000;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { gigabytes: { type: "string", default: "1" }, rounds: { type: "string", default: "3" } } });
  const size = Math.round(Number(values.gigabytes) * GiB);
  const folder = await temporaryFolder("tritontube-rival-");
  const rival = fork(rivalModule, [folder]);
  const [port] = (await once(rival, "message")) as [number];
  const ours = await startTritonTube();
  try {
    await compare({
      size,
      rounds: Number(values.rounds),
      ours: { url: ours.url, pid: ours.pid },
      rivalUrl: `http://127.0.0.1:${port}/upload`,
    });
  } finally {
    await ours.stop();
    rival.kill();
    await Promise.all([removeFolder(ours.dataDir), removeFolder(folder)]);
  }
}

async function compare(run: { size: number; rounds: number; ours: { url: string; pid: number }; rivalUrl: string }): Promise<void> {
  const seconds = { ours: [] as number[], rival: [] as number[] };
  const memory = await watchMemory(run.ours.pid);
  for (let round = 1; round <= run.rounds; round++) {
    seconds.rival.push(await upload(run.rivalUrl, run.size));
    seconds.ours.push(await upload(`${run.ours.url}/api/v1/videos/upload`, run.size));
    console.log(
      `round ${round}: node:http, one copy ${rate(run.size, seconds.rival)}, TritonTube, three copies ${rate(run.size, seconds.ours)}`,
    );
  }
  const ratio = median(seconds.rival) / median(seconds.ours);
  console.log(
    `\n${(run.size / GiB).toFixed(2)} GiB, median of ${run.rounds}: TritonTube reaches ${ratio.toFixed(2)} of the rival's speed,`,
  );
  console.log(`${(3 * ratio).toFixed(2)} per copy written (it writes three).`);
  console.log("\nresident memory, MiB: idle, peak, growth");
  for (const row of memory.stop()) {
    console.log(
      `${row.idleMiB.toFixed(0).padStart(6)} ${row.peakMiB.toFixed(0).padStart(6)} ${(row.peakMiB - row.idleMiB).toFixed(0).padStart(6)}  ${row.command}`,
    );
  }
}

const rate = (size: number, seconds: readonly number[]): string => `${(size / MiB / (seconds.at(-1) ?? Number.NaN)).toFixed(0)} MiB/s`;

await main();
