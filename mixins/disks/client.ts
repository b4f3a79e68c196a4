/** One disk as its callers see it: promises that always end, and failures of the one table. */
import { type ClientOptions, credentials, Metadata, type MethodDefinition } from "@grpc/grpc-js";
import { service as health } from "grpc-health-check";
import type { DiskAccess } from "../../config/disks.ts";
import { DISK_METADATA, DiskConnection } from "../../proto/disk.ts";
import type {
  DiskServiceClient,
  ExchangeRequest,
  GetDiskResponse,
  Scrub,
  ScrubDiskResponse,
  StatChunkResponse,
} from "../../proto/gen/tritontube/disk/v1/disk.ts";
import { DIGEST_BYTES } from "../../services/kernel/digests.ts";
import { failure } from "../../services/kernel/errors.ts";
import { CHUNK_BYTES_MAX, MESSAGE_BYTES } from "../../services/kernel/limits.ts";
import { ask, type CallLimits, listen } from "./calls.ts";
import { type Answer, Exchange } from "./exchange.ts";
import { type ChunkRange, type ChunkUpload, downloadOf, isSmall, type Messages, messagesOf, uploadOf, wholeOf } from "./chunks.ts";
import type { BinFacts, ChunkLook, ChunkPage, DiskFacts, ListedChunk, ScrubCommand, ScrubFacts, StoredChunk } from "./facts.ts";
import type { Disk } from "./port.ts";
import { tracedCalls } from "./traces.ts";

/** 8 MiB at 140 KB/s: where it is slower than that, another disk is faster. An fsync on a busy disk may take seconds in which nothing moves. */
const BULK = { deadlineMs: 60_000, firstMs: 5000, idleMs: 15_000 };
/** A walk over the folders of a disk: minutes for millions of chunks on a spinning one. It tells of each 256th part. */
const WALK = { deadlineMs: 600_000, firstMs: 15_000, idleMs: 15_000 };
const CONTROL = { deadlineMs: 5000, firstMs: 5000, idleMs: 5000 };
/** A word before which the disk reads a chunk: 8 MiB at 0.8 MB/s. */
const READING = { deadlineMs: 10_000, firstMs: 10_000, idleMs: 10_000 };

const SHARED: ClientOptions = {
  interceptors: [tracedCalls],
  // Its own connections: the two channels of a disk must not wait for each other.
  "grpc.use_local_subchannel_pool": 1,
  // A hung peer is found in 3 s, also between calls.
  "grpc.keepalive_time_ms": 1000,
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

const NOTHING_SENT = Buffer.alloc(0);
const NOTHING: BinFacts = { files: 0, bytes: 0 };

interface Connections {
  readonly bulk: DiskServiceClient;
  readonly control: DiskServiceClient;
}

interface DiskPlace extends DiskAccess {
  /** host:port. */
  readonly address: string;
  /** The UUID of the disk that calls mean; default: whichever answers. */
  readonly meant?: string;
  /** Default: connections of its own. */
  readonly over?: Connections;
}

/**
 * Every method may fail with DISK_UNAVAILABLE, DISK_UNAUTHENTICATED or DISK_MISTAKEN, and with what it names itself. An aborted signal ends the call with
 * the signal's reason.
 */
export class DiskClient implements Disk {
  readonly address: string;
  readonly #secret: string;
  readonly #bulk: DiskServiceClient;
  readonly #control: DiskServiceClient;
  readonly #metadata = new Metadata();
  readonly #exchange: Exchange;

  constructor({ address, secret, tls, meant, over }: DiskPlace) {
    const shown = tls ? credentials.createSsl(tls.ca, tls.key, tls.cert) : credentials.createInsecure();
    this.address = address;
    this.#secret = secret;
    this.#bulk = over?.bulk ?? new DiskConnection(address, shown, BULK_CHANNEL);
    this.#control = over?.control ?? new DiskConnection(address, shown, SHARED);
    this.#metadata.set("authorization", `Bearer ${secret}`);
    if (meant !== undefined) this.#metadata.set(DISK_METADATA, meant);
    // Its requests are steps of traces; it is none.
    this.#exchange = new Exchange(address, () => this.#bulk.exchange(this.#metadata, { interceptors: [] }));
  }

  /** The same connections, for calls that mean this disk: each of them fails with DISK_MISTAKEN when another one answers. */
  meaning(id: string): DiskClient {
    return new DiskClient({ address: this.address, secret: this.#secret, meant: id, over: { bulk: this.#bulk, control: this.#control } });
  }

  /**
   * Stores a chunk. Done when it is durable; `existed` says that it was before.
   * DISK_FULL, DISK_STALE_EPOCH, CHUNK_CORRUPT (the bytes are not those of the hash), TOO_BUSY.
   */
  async putChunk(chunk: ChunkUpload, signal?: AbortSignal): Promise<{ existed: boolean }> {
    if (chunk.bytes.length <= MESSAGE_BYTES) {
      const { header, data } = wholeOf(chunk);
      const small = await this.#exchanged({ $case: "put", value: header }, data, signal);
      if (small?.answer?.$case === "stored") return small.answer.value;
    }
    return await ask(this.#limits(BULK, signal), (options, callback, progressed) => {
      const call = this.#bulk.putChunk(this.#metadata, options, callback);
      // Nothing waits for "drain", so nothing can hang on it: grpc-js encodes one message at a time, and until then each is a view.
      for (const message of uploadOf(chunk)) call.write(message, progressed);
      call.end();
      return call;
    });
  }

  /**
   * Reads a chunk or a part of one. What is read whole is what its name says, and a part has the sums that the disk knows of its blocks.
   * CHUNK_NOT_FOUND, CHUNK_CORRUPT, RANGE_NOT_SATISFIABLE, TOO_BUSY.
   */
  async getChunk(range: ChunkRange, signal?: AbortSignal): Promise<Buffer> {
    return Buffer.concat(await this.readChunk(range, signal));
  }

  /** The same in the buffers in which it came, without a copy. */
  async readChunk(range: ChunkRange, signal?: AbortSignal): Promise<readonly Buffer[]> {
    const pieces: Buffer[] = [];
    for await (const piece of downloadOf(await this.#messagesOf(range, signal), range)) pieces.push(piece);
    return pieces;
  }

  async #messagesOf(range: ChunkRange, signal: AbortSignal | undefined): Promise<Messages> {
    const request = { sha256: Buffer.from(range.hash, "hex"), offset: range.offset ?? 0, length: range.length ?? 0 };
    const small = isSmall(range) ? await this.#exchanged({ $case: "get", value: request }, NOTHING_SENT, signal) : undefined;
    // More than an answer holds has come without its bytes: the chunk is another than it was said to be.
    if (small?.answer?.$case === "read" && small.data.length > 0) return messagesOf(small.answer.value, small.data);
    return listen(this.#limits(BULK, signal), (options) => this.#bulk.getChunk(request, this.#metadata, options));
  }

  /** Undefined where a call of its own has to do. */
  async #exchanged(asked: ExchangeRequest["asked"], data: Buffer, signal: AbortSignal | undefined): Promise<Answer | undefined> {
    if (!this.#exchange.isReady) return undefined;
    return await this.#exchange.ask({ asked, data }, this.#limits(BULK, signal));
  }

  /** Undefined when the disk does not hold the chunk. */
  async statChunk({ hash, epoch, touch, verify }: ChunkLook, signal?: AbortSignal): Promise<StoredChunk | undefined> {
    const { found, size, version } = await ask<StatChunkResponse>(this.#limits(verify ? READING : CONTROL, signal), (options, callback) =>
      this.#control.statChunk({ sha256: Buffer.from(hash, "hex"), epoch, touch, verify }, this.#metadata, options, callback),
    );
    return found ? { size, version } : undefined;
  }

  /** Moves the file of that version to the trash of the disk. Deleting what is not there succeeds. DISK_STALE_EPOCH, CHUNK_CHANGED. */
  async deleteChunk(
    { hash, epoch, version }: { readonly hash: string; readonly epoch: number; readonly version: string },
    signal?: AbortSignal,
  ): Promise<{ existed: boolean }> {
    return await ask(this.#limits(CONTROL, signal), (options, callback) =>
      this.#control.deleteChunk({ sha256: Buffer.from(hash, "hex"), epoch, version }, this.#metadata, options, callback),
    );
  }

  /** At most `limit` (1 to 10 000) chunks of a partition that stand behind `after`, in the order of their names. */
  async listChunks({ bits, partition, after, limit, epoch }: ChunkPage, signal?: AbortSignal): Promise<ListedChunk[]> {
    const request = { bits, partition, limit, epoch, after: Buffer.from(after ?? "", "hex") };
    const messages = listen(this.#limits(BULK, signal), (options) => this.#bulk.listChunks(request, this.#metadata, options));
    const listed: ListedChunk[] = [];
    for await (const { chunks } of messages) {
      listed.push(...chunks.map(({ sha256, ...file }) => ({ hash: Buffer.from(sha256).toString("hex"), ...file })));
    }
    return listed;
  }

  /** Digests of all partitions (services/kernel/digests.ts), of what lies on the medium now. */
  async getDigests({ bits }: { readonly bits: number }, signal?: AbortSignal): Promise<Buffer> {
    const messages = listen(this.#limits(WALK, signal), (options) => this.#bulk.getDigests({ bits }, this.#metadata, options));
    const pieces: Buffer[] = [];
    for await (const { digests } of messages) pieces.push(Buffer.from(digests));
    const whole = Buffer.concat(pieces);
    if (whole.length !== DIGEST_BYTES << bits)
      throw failure("DISK_UNAVAILABLE", `Disk ${this.address} sent ${whole.length} bytes of digests.`);
    return whole;
  }

  /** Who the disk is, how full, and how well. */
  async getDisk(signal?: AbortSignal): Promise<DiskFacts> {
    const { readOnly, trash, quarantine, scrub, ...facts } = await ask<GetDiskResponse>(
      this.#limits(CONTROL, signal),
      (options, callback) => this.#control.getDisk({}, this.#metadata, options, callback),
    );
    return {
      ...facts,
      readOnly: readOnly || null,
      trash: trash ?? NOTHING,
      quarantine: quarantine ?? NOTHING,
      scrub: scrubFacts(scrub),
    };
  }

  async greet(signal?: AbortSignal): Promise<void> {
    await this.getDisk(signal);
  }

  /** Begins a pass of the scrub unless one is under way (`now`), pauses it or lets it go on (`paused`). Answers how it is then. */
  async scrubDisk({ now = false, paused }: ScrubCommand, signal?: AbortSignal): Promise<ScrubFacts> {
    const { scrub } = await ask<ScrubDiskResponse>(this.#limits(CONTROL, signal), (options, callback) =>
      this.#control.scrubDisk({ now, paused }, this.#metadata, options, callback),
    );
    return scrubFacts(scrub);
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
    this.#exchange.close();
    this.#bulk.close();
    this.#control.close();
  }

  #limits(limits: typeof BULK, signal: AbortSignal | undefined): CallLimits {
    return { ...limits, address: this.address, signal };
  }
}

function scrubFacts(scrub: Scrub | undefined): ScrubFacts {
  if (!scrub) throw failure("DISK_UNAVAILABLE", "The disk says nothing of its scrub.");
  return { ...scrub, oldestVerifiedAt: scrub.oldestVerifiedAt * 1000 || null };
}
