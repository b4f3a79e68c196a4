/**
 * `npm run bench:playback [-- --seconds 5 --clients 8 --rounds 3]`: the same segment of a real video, asked for again and again by the same client,
 * from TritonTube's gateway and from nginx that has it as a file. Prints the ratio of requests a second and of the latencies.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { Agent, get } from "node:http";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { segmentAddresses, untilStatus, uploadFile } from "../test/support/client.ts";
import { makeSource } from "../test/support/media.ts";
import { removeFolder, startTritonTube, temporaryFolder } from "../test/support/tritontube.ts";
import { startNginx } from "./nginx.ts";
import { median, percentile } from "./statistics.ts";

interface Run {
  readonly requestsPerSecond: number;
  readonly latenciesMs: readonly number[];
}

/** Asks `clients` at a time, over kept connections, for `seconds`. */
async function load(address: string, clients: number, seconds: number): Promise<Run> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const until = performance.now() + seconds * 1000;
  const latenciesMs: number[] = [];
  const client = async (): Promise<void> => {
    while (performance.now() < until) {
      const started = performance.now();
      await drain(address, agent);
      latenciesMs.push(performance.now() - started);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  agent.destroy();
  return { requestsPerSecond: latenciesMs.length / seconds, latenciesMs };
}

async function drain(address: string, agent: Agent): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    get(address, { agent }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${address} answered ${response.statusCode}`));
      response.on("end", resolve).on("error", reject).resume();
    }).on("error", reject);
  });
}

async function largestSegment(url: string, folder: string): Promise<{ address: string; bytes: Buffer }> {
  const { id } = await uploadFile(url, await makeSource(folder, { seconds: 12 }));
  await untilStatus(url, id, ["ready"]);
  const addresses = await segmentAddresses(`${url}/api/v1/videos/${id}/master.m3u8`);
  const all = await Promise.all(
    addresses.map(async (address) => ({ address, bytes: Buffer.from(await (await fetch(address)).arrayBuffer()) })),
  );
  return all.reduce((a, b) => (b.bytes.length > a.bytes.length ? b : a));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "5" },
      clients: { type: "string", default: "8" },
      rounds: { type: "string", default: "3" },
    },
  });
  const folder = await temporaryFolder("tritontube-bench-");
  await mkdir(join(folder, "www"));
  const ours = await startTritonTube();
  try {
    const segment = await largestSegment(ours.url, folder);
    await writeFile(join(folder, "www/segment.m4s"), segment.bytes);
    const nginx = await startNginx(folder);
    await compare({ ours: segment.address, nginx: `${nginx.url}/segment.m4s`, bytes: segment.bytes.length, ...numbers(values) }).finally(
      nginx.stop,
    );
  } finally {
    await ours.stop();
    await Promise.all([removeFolder(ours.dataDir), removeFolder(folder)]);
  }
}

const numbers = (values: { seconds: string; clients: string; rounds: string }): { seconds: number; clients: number; rounds: number } => ({
  seconds: Number(values.seconds),
  clients: Number(values.clients),
  rounds: Number(values.rounds),
});

async function compare(run: {
  ours: string;
  nginx: string;
  bytes: number;
  seconds: number;
  clients: number;
  rounds: number;
}): Promise<void> {
  console.log(`segment of ${(run.bytes / 1024).toFixed(0)} KiB, ${run.clients} clients, ${run.seconds} s a run`);
  const results = { ours: [] as Run[], nginx: [] as Run[] };
  for (let round = 1; round <= run.rounds; round++) {
    results.nginx.push(await load(run.nginx, run.clients, run.seconds));
    results.ours.push(await load(run.ours, run.clients, run.seconds));
    console.log(`round ${round}: nginx ${line(results.nginx.at(-1))}; TritonTube ${line(results.ours.at(-1))}`);
  }
  const rate = (runs: readonly Run[]): number => median(runs.map((one) => one.requestsPerSecond));
  console.log(
    `\nmedian of ${run.rounds}: TritonTube serves ${(rate(results.ours) / rate(results.nginx)).toFixed(2)} of nginx's requests a second`,
  );
}

const line = (run: Run | undefined): string =>
  run
    ? `${run.requestsPerSecond.toFixed(0)}/s, p50 ${median(run.latenciesMs).toFixed(1)} ms, p99 ${percentile(run.latenciesMs, 0.99).toFixed(1)} ms`
    : "";

await main();
