/**
 * `npm run docs:trace`: uploads ten seconds to a cluster that sends its traces, and draws all that this causes into docs/operations.md. Needs nats-server and
 * ffmpeg.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeSource } from "../test/support/media.ts";
import { drawTrace, startReceiver, traceOfUpload } from "../test/support/otlp.ts";
import { startProcesses } from "../test/support/processes.ts";
import { removeFolder, temporaryFolder } from "../test/support/tritontube.ts";

const PAGE = join(import.meta.dirname, "../docs/operations.md");

const folder = await temporaryFolder("tritontube-trace-");
const receiver = await startReceiver();
process.env["OTLP_URL"] = receiver.url;
const cluster = await startProcesses();
try {
  const trace = await traceOfUpload(cluster, receiver, await makeSource(folder, { seconds: 10 }));
  const page = await readFile(PAGE, "utf8");
  const drawn = `<!-- trace -->\n\n\`\`\`\n${drawTrace(trace)}\n\`\`\`\n\n<!-- /trace -->`;
  await writeFile(
    PAGE,
    page.replace(/<!-- trace -->.*<!-- \/trace -->/s, () => drawn),
  );
  console.log(`${trace.length} steps`);
} finally {
  await cluster.stop();
  await receiver.stop();
  await removeFolder(folder);
}
process.exit(0);
