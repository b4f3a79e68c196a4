/** One disk as its callers see it: promises that always end, and failures of the one table. */
import { createHash } from "node:crypto";
import { type ClientOptions, credentials, Metadata, type MethodDefinition } from "@grpc/grpc-js";
import { service as health } from "grpc-health-check";
import { DiskConnection } from "../../proto/disk.ts";
import type { DiskServiceClient, StatChunkResponse } from "../../proto/gen/tritontube/disk/v1/disk.ts";
import { failure } from "../../services/kernel/errors.ts";
import { CHUNK_BYTES_MAX, MESSAGE_BYTES } from "../../services/kernel/limits.ts";
import { ask, type CallLimits, listen } from "./calls.ts";
import { type ChunkRange, type ChunkUpload, downloadOf, uploadOf } from "./chunks.ts";

/** 8 MiB at 140 KB/s: where it is slower than that, another disk is faster. An fsync on a busy disk may take seconds in which nothing moves. */
const BULK = { deadlineMs: 60_000, firstMs: 5000, idleMs: 15_000 };
const CONTROL = { deadlineMs: 5000, firstMs: 5000, idleMs: 5000 };

const SHARED: ClientOptions = {
  // Its own connections: the two channels of a disk must not wait for each other.
  "grpc.use_local_subchannel_pool": 1,
  // A hung peer is found in 5 s, also between calls.
  "grpc.keepalive_time_ms": 3000,
  "grpc.keepalive_timeout_ms": 2000,
  "grpc.keepalive_permit_without_calls": 1,
  // A disk that came back is used again after a second at most.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1000,
  "grpc.max_receive_message_length": 2 * MESSAGE_BYTES,
  // Disks are neighbours: a proxy for the internet is not meant for them.
  "grpc.enable_http_proxy": 0,
  // Callers repeat what they know to be worth repeating, at another disk first.
  "grpc.enable_retries": 0,
  // Without it the first MiB of an upload is kept for a retry that never comes, and counts as sent before there is a connection.
  "grpc.per_rpc_retry_buffer_size": 0,
};
const BULK_CHANNEL: ClientOptions = { ...SHARED, "grpc-node.flow_control_window": CHUNK_BYTES_MAX };

interface HealthStatus {
  readonly status: string;
}
const CHECK = health["Check"] as MethodDefinition<{ readonly service: string }, HealthStatus>;

export interface DiskFacts {
  /** The disk's own UUID. */
  readonly id: string;
  readonly zone: string;
  readonly capacityBytes: number;
  /** What it would still take. */
  readonly freeBytes: number;
  readonly chunks: number;
  /** The highest epoch of the ring that it has seen. */
  readonly epoch: number;
}

/**
 * Every method may fail with DISK_UNAVAILABLE or DISK_UNAUTHENTICATED, and with what it names itself. An aborted signal ends the call with
 * the signal's reason.
 */
export class DiskClient {
  readonly address: string;
  readonly #bulk: DiskServiceClient;
  readonly #control: DiskServiceClient;
  readonly #metadata = new Metadata();

  constructor({ address, secret }: { readonly address: string; readonly secret: string }) {
    this.address = address;
    this.#bulk = new DiskConnection(address, credentials.createInsecure(), BULK_CHANNEL);
    this.#control = new DiskConnection(address, credentials.createInsecure(), SHARED);
    this.#metadata.set("authorization", `Bearer ${secret}`);
  }

  /**
   * Stores a chunk. Done when it is durable; `existed` says that it was before.
   * DISK_FULL, DISK_STALE_EPOCH, CHUNK_CORRUPT (the bytes are not those of the hash), TOO_BUSY.
   */
  async putChunk(chunk: ChunkUpload, signal?: AbortSignal): Promise<{ existed: boolean }> {
    return await ask(this.#limits(BULK, signal), (options, callback, progressed) => {
      const call = this.#bulk.putChunk(this.#metadata, options, callback);
      // Nothing waits for "drain", so nothing can hang on it: grpc-js encodes one message at a time, and until then each is a view.
      for (const message of uploadOf(chunk)) call.write(message, progressed);
      call.end();
      return call;
    });
  }

  /**
   * Reads a chunk or a part of one. What is read whole is what its name says; a part is not verified.
   * CHUNK_NOT_FOUND, CHUNK_CORRUPT, RANGE_NOT_SATISFIABLE, TOO_BUSY.
   */
  async getChunk(range: ChunkRange, signal?: AbortSignal): Promise<Buffer> {
    const hash = isWhole(range) ? createHash("sha256") : undefined;
    let whole: Buffer | undefined;
    let received = 0;
    const request = { sha256: Buffer.from(range.hash, "hex"), offset: range.offset ?? 0, length: range.length ?? 0 };
    const messages = listen(this.#limits(BULK, signal), (options) => this.#bulk.getChunk(request, this.#metadata, options));
    for await (const { total, bytes } of downloadOf(messages, range)) {
      whole ??= Buffer.allocUnsafeSlow(total);
      received += bytes.copy(whole, received);
      hash?.update(bytes);
    }
    if (!whole || (hash && hash.digest("hex") !== range.hash)) {
      throw failure("CHUNK_CORRUPT", `Disk ${this.address} sent other bytes than those of chunk ${range.hash}.`);
    }
    return whole;
  }

  /** The length of a chunk, bytes; undefined when the disk does not hold it. */
  async statChunk({ hash }: { readonly hash: string }, signal?: AbortSignal): Promise<number | undefined> {
    const { found, size } = await ask<StatChunkResponse>(this.#limits(CONTROL, signal), (options, callback) =>
      this.#control.statChunk({ sha256: Buffer.from(hash, "hex") }, this.#metadata, options, callback),
    );
    return found ? size : undefined;
  }

  /** Moves a chunk to the trash of the disk. Deleting what is not there succeeds. DISK_STALE_EPOCH. */
  async deleteChunk(
    { hash, epoch }: { readonly hash: string; readonly epoch: number },
    signal?: AbortSignal,
  ): Promise<{ existed: boolean }> {
    return await ask(this.#limits(CONTROL, signal), (options, callback) =>
      this.#control.deleteChunk({ sha256: Buffer.from(hash, "hex"), epoch }, this.#metadata, options, callback),
    );
  }

  /** Who the disk is, and how full. */
  async getDisk(signal?: AbortSignal): Promise<DiskFacts> {
    return await ask(this.#limits(CONTROL, signal), (options, callback) => this.#control.getDisk({}, this.#metadata, options, callback));
  }

  /** Whether the disk says that it serves. Takes no secret. */
  async isServing(signal?: AbortSignal): Promise<boolean> {
    const { path, requestSerialize, responseDeserialize } = CHECK;
    const { status } = await ask<HealthStatus>(this.#limits(CONTROL, signal), (options, callback) =>
      this.#control.makeUnaryRequest(path, requestSerialize, responseDeserialize, { service: "" }, options, callback),
    );
    return status === "SERVING";
  }

  /** Frees the connections. Running calls go on to their end. */
  close(): void {
    this.#bulk.close();
    this.#control.close();
  }

  #limits(limits: typeof BULK, signal: AbortSignal | undefined): CallLimits {
    return { ...limits, address: this.address, signal };
  }
}

function isWhole(range: ChunkRange): boolean {
  return range.offset === undefined && range.length === undefined;
}
