/** The client that Uppy and most others are made of, against our server: it has to find everything that it looks for. */
import { Upload, type UploadOptions } from "tus-js-client";
import { rows } from "../../mixins/database/sql.ts";
import { CHUNK_BYTES_MAX } from "../../services/kernel/limits.ts";
import { bytesOf } from "../support/cluster.ts";
import { sha256, startTusGateway, UPLOADS, type TusGateway } from "../support/tus.ts";

let tus: TusGateway;
beforeAll(async () => {
  tus = await startTusGateway();
}, 240_000);
afterAll(() => tus.stop());

const about = { filename: "film.mp4", filetype: "video/mp4", title: "Ein Film · 映画" };

/** The address of the upload, when the client says that it is done. */
async function upload(bytes: Buffer, options: Partial<UploadOptions> = {}): Promise<string> {
  return await new Promise((resolve, reject) => {
    const sent = new Upload(bytes as never, {
      endpoint: `${tus.url}${UPLOADS}`,
      metadata: about,
      retryDelays: [100, 1000, 2000, 3000],
      onError: reject,
      onSuccess: () => resolve(sent.url ?? ""),
      ...options,
    });
    sent.start();
  });
}

it.each([
  ["in one request", {}],
  ["in requests of an odd size", { chunkSize: 3_000_001 }],
  ["with its first bytes in the creation", { uploadDataDuringCreation: true }],
  ["with its length told at the end", { uploadLengthDeferred: true, chunkSize: 5_000_000 }],
  ["with overridden methods", { overridePatchMethod: true }],
])("uploads %s", async (_how, options) => {
  const bytes = bytesOf(CHUNK_BYTES_MAX + 4_000_000);
  expect(await tus.stored(await upload(bytes, options))).toBe(sha256(bytes));
});

it("uploads in parallel parts that are joined", async () => {
  const bytes = bytesOf(2 * CHUNK_BYTES_MAX + 1_000_001);
  const video = await upload(bytes, { parallelUploads: 3 });
  expect(await tus.stored(video)).toBe(sha256(bytes));
});

it("goes on where it was after it was stopped, and after the connection was cut", async () => {
  const bytes = bytesOf(2 * CHUNK_BYTES_MAX);
  const first = new Upload(bytes as never, { endpoint: `${tus.url}${UPLOADS}`, metadata: about, chunkSize: 1_000_000 });
  await new Promise<void>((resolve) => {
    first.options.onChunkComplete = (_size, sent) => {
      if (sent > 5_000_000) resolve();
    };
    first.start();
  });
  await first.abort();
  const sent: number[] = [];
  const address = await upload(bytes, {
    uploadUrl: first.url,
    onProgress(bytesSent) {
      // In the middle of the rest the server's side is cut off, once.
      if (sent.length === 0) tus.closeConnections();
      sent.push(bytesSent);
    },
  });
  expect(sent[0]).toBeGreaterThan(5_000_000);
  expect(await tus.stored(address)).toBe(sha256(bytes));
});

it("waits and goes on when another request still holds the upload", async () => {
  const bytes = bytesOf(1_000_000);
  const address = await tus.create({ "Upload-Length": "1000000" });
  const id = address.split("/").at(-1) ?? "";
  await rows(tus.cluster.db, "update uploads set lease_until = now() + interval '3 s' where id = $1 returning id", [id]);
  expect(await tus.stored(await upload(bytes, { uploadUrl: `${tus.url}${address}` }))).toBe(sha256(bytes));
});

it("ends an upload", async () => {
  const sent = new Upload(bytesOf(1_000_000) as never, { endpoint: `${tus.url}${UPLOADS}`, metadata: about, chunkSize: 400_000 });
  await new Promise<void>((resolve) => {
    sent.options.onChunkComplete = () => resolve();
    sent.start();
  });
  await sent.abort(true);
  expect((await tus.ask("HEAD", sent.url ?? "")).status).toBe(404);
});
