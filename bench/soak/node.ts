/** A node of the soak: blobs, jobs, ring, storage and upkeep on NATS. Its parent asks it by messages. */
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { ServiceBroker } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import brokerOptions from "../../moleculer.config.ts";
import blobsService from "../../services/blobs/blobs.service.ts";
import jobsService from "../../services/jobs/jobs.service.ts";
import { errorType, messageOf } from "../../services/kernel/errors.ts";
import { call } from "../../services/kernel/rpc.ts";
import ringService from "../../services/ring/ring.service.ts";
import { storage } from "../../services/storage/contract.ts";
import storageService from "../../services/storage/storage.service.ts";
import upkeepService from "../../services/upkeep/upkeep.service.ts";
import { bytesOf, type Content } from "./content.ts";

export type Question =
  | { readonly ask: "write"; readonly content: Content }
  | { readonly ask: "read"; readonly blob: string }
  | { readonly ask: "call"; readonly action: string; readonly params: object };

export interface Answer {
  readonly id: number;
  readonly result?: unknown;
  /** A row of the error table, or what the error says. */
  readonly error?: string;
}

const MESSAGE_BYTES = 256 * 1024;

const broker = new ServiceBroker(brokerOptions(loadConfig()));
for (const service of [ringService, blobsService, jobsService, storageService, upkeepService]) broker.createService(service);

async function answer(question: Question): Promise<unknown> {
  if (question.ask === "write") {
    const bytes = bytesOf(question.content);
    return await call(broker, storage.write, { maxBytes: bytes.length }, { stream: Readable.from(piecesOf(bytes), { objectMode: false }) });
  }
  if (question.ask === "call") return await broker.call(question.action, question.params, { timeout: 60_000 });
  const hash = createHash("sha256");
  for await (const piece of await call(broker, storage.read, { blob: question.blob })) hash.update(piece as Buffer);
  return hash.digest("hex");
}

function* piecesOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += MESSAGE_BYTES) yield bytes.subarray(at, at + MESSAGE_BYTES);
}

process.on("message", ({ id, question }: { id: number; question: Question }) => {
  answer(question).then(
    (result) => process.send?.({ id, result } satisfies Answer),
    (error: unknown) => process.send?.({ id, error: errorType(error) ?? messageOf(error) } satisfies Answer),
  );
});
process.on("disconnect", () => process.exit(0));
await broker.start();
process.send?.({ id: 0 } satisfies Answer);
