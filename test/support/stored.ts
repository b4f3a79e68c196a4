/** Storage in memory: see catalogue.ts. */
import { Readable } from "node:stream";
import type { ServiceSchema } from "moleculer";
import { failure } from "../../services/kernel/errors.ts";
import { implement } from "../../services/kernel/rpc.ts";
import { storage } from "../../services/storage/contract.ts";
import { called, find, keep, unused, type Catalogue } from "./memory.ts";

export function storageStandIn(catalogue: Catalogue): ServiceSchema {
  return {
    name: "storage",
    actions: implement()(storage, {
      async write({ maxBytes }, ctx) {
        const stream = ctx.stream as Readable;
        catalogue.open.add(stream);
        try {
          await called(catalogue, "storage.write");
          return keep(catalogue, await readAll(stream, maxBytes));
        } finally {
          catalogue.open.delete(stream);
        }
      },
      put: async ({ bytes }) => keep(catalogue, Buffer.from(bytes)),
      read: async ({ blob, start, end }) => Readable.from([find(catalogue.blobs, blob, "BLOB_NOT_FOUND").subarray(start ?? 0, end)]),
      async fetch({ blob }) {
        await called(catalogue, "storage.fetch");
        return find(catalogue.blobs, blob, "BLOB_NOT_FOUND");
      },
      stat: async ({ blob }) => ({ blob, size: find(catalogue.blobs, blob, "BLOB_NOT_FOUND").length }),
      copy: unused,
      holds: unused,
      list: unused,
      digests: unused,
      erase: unused,
    }),
  };
}

async function readAll(stream: Readable, maxBytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of stream as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxBytes) throw failure("UPLOAD_TOO_LARGE", `At most ${maxBytes} bytes.`);
    parts.push(part);
  }
  if (size === 0) throw failure("UPLOAD_EMPTY", "No byte came.");
  return Buffer.concat(parts);
}
