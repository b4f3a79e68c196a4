/** What @tus/server keeps uploads in: our rows and blobs. One for each request, since the library hands on neither who asks nor the request's headers. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { DataStore, Upload, type Lock, type Locker } from "@tus/server";
import { failure } from "../../kernel/errors.ts";
import type { Checksum } from "../domain/tus.ts";
import { openBody } from "../http/body.ts";
import { Hold } from "./hold.ts";
import { receiveParts } from "./parts.ts";
import type { TusPorts, TusUpload } from "./ports.ts";

export interface StoreOptions {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly method: string;
  readonly kind: "whole" | "partial";
  readonly checksum: Checksum | undefined;
  readonly metadata: string;
  readonly bytesMax: number;
  readonly idleMs: number;
  readonly ports: TusPorts;
}

export class UploadStore extends DataStore implements Locker {
  override extensions = [
    "creation",
    "creation-with-upload",
    "creation-defer-length",
    "expiration",
    "checksum",
    "termination",
    "concatenation",
  ];
  readonly #options: StoreOptions;
  #hold: Hold | undefined;
  /** The row, as it was last seen. */
  current: TusUpload | undefined;

  constructor(options: StoreOptions) {
    super();
    this.#options = options;
  }

  override async create(upload: Upload): Promise<Upload> {
    const { ports, kind, metadata } = this.#options;
    const length = upload.size ?? null;
    if (length === 0) throw failure("UPLOAD_EMPTY", "An upload has at least one byte.");
    this.current = await ports.create({ id: upload.id, length, metadata, values: upload.metadata ?? {} }, kind);
    return upload;
  }

  /** Whoever is about to send bytes becomes the only one who does. */
  override async getUpload(id: string): Promise<Upload> {
    const { ports, method } = this.#options;
    const upload = method === "PATCH" ? await this.#take(id) : await ports.get(id);
    if (method === "PATCH" && upload.kind === "final")
      throw failure("UPLOAD_IS_FINAL", "It has all its bytes from the uploads it was joined from.");
    this.current = upload;
    return asLibrary(upload);
  }

  override async declareUploadLength(_id: string, length: number): Promise<void> {
    this.current = await this.#hold?.declare(length);
  }

  /** The stream of the library is empty: the bytes are read from the request itself, which spares them two kinds of streams and back. */
  override async write(_stream: unknown, id: string, start: number): Promise<number> {
    const { ports, req, res, checksum, bytesMax, idleMs } = this.#options;
    const hold = this.#hold ?? (await this.#take(id), this.#hold);
    if (!hold) throw new Error("bytes are written by who holds the upload");
    const end = this.current?.length ?? bytesMax;
    return await ports.admit(async () => {
      const body = openBody(req, res, { bytesMax: end - start, idleMs });
      hold.onLost = () => body.destroy(failure("UPLOAD_LOCKED", "Another request goes on with this upload."));
      try {
        return await receiveParts(body, { ports, hold, start, end, checksum });
      } finally {
        body.destroy();
        this.current = await ports.get(id);
      }
    });
  }

  override async remove(id: string): Promise<void> {
    await this.#options.ports.remove(id);
  }

  /** The library's lock is a word; ours is a row, taken where the upload is read. */
  newLock(): Lock {
    return { lock: async () => {}, unlock: async () => await this.#hold?.release() };
  }

  async #take(id: string): Promise<TusUpload> {
    const { hold, upload } = await Hold.take(this.#options.ports, id);
    this.#hold = hold;
    return upload;
  }
}

function asLibrary({ id, length, offset }: TusUpload): Upload {
  return new Upload({ id, offset, ...(length === null ? {} : { size: length }) });
}
