/** Writers that store chunks on a disk, store them again and delete them, all at once, until the disk is gone; and what they were told. */
import { createHash } from "node:crypto";
import { DiskClient } from "../../mixins/disks/client.ts";
import { errorType } from "../../services/kernel/errors.ts";
import type { Found, History, Outcome } from "./history.ts";

const WRITERS = 6;
/** Refused before anything was done. */
const REFUSALS: ReadonlySet<string | undefined> = new Set(["DISK_STALE_EPOCH", "DISK_FULL", "DISK_READ_ONLY", "CHUNK_CHANGED", "TOO_BUSY"]);
/** The process is gone, or its medium is. */
const ENDS: ReadonlySet<string | undefined> = new Set(["DISK_UNAVAILABLE", "DISK_READ_ONLY", undefined]);

interface LoadOptions {
  readonly address: string;
  readonly secret: string;
  /** Numbers from 0 to 1, the same for the same seed. */
  readonly random: () => number;
  /** The epoch that the first chunks are written at. */
  readonly epoch: number;
}

/** Ends when the disk does not answer any more, or takes no writes. */
export async function loadDisk(history: History, { address, secret, random, epoch }: LoadOptions): Promise<void> {
  const client = new DiskClient({ address, secret });
  const state = { epoch };
  await Promise.all(Array.from({ length: WRITERS }, async () => await write(client, { history, random, state })));
  client.close();
}

interface Writing {
  readonly history: History;
  readonly random: () => number;
  readonly state: { epoch: number };
}

async function write(client: DiskClient, { history, random, state }: Writing): Promise<void> {
  const mine: { hash: string; bytes: Buffer }[] = [];
  const gone = new AbortController();
  const told = async (work: () => Promise<unknown>): Promise<Outcome> => {
    try {
      await work();
      return "acknowledged";
    } catch (error) {
      const type = errorType(error);
      if (ENDS.has(type)) gone.abort();
      return REFUSALS.has(type) ? "refused" : "unknown";
    }
  };
  const put = async (chunk: { hash: string; bytes: Buffer }): Promise<void> => {
    const { epoch } = state;
    const store = async (): Promise<void> => {
      await client.putChunk({ ...chunk, epoch });
      history.acknowledged.epoch = Math.max(history.acknowledged.epoch, epoch);
    };
    await history.put(chunk.hash, async () => await told(store));
  };
  while (!gone.signal.aborted) {
    const choice = random();
    const chunk = mine[Math.floor(random() * mine.length)];
    if (choice < 0.05) state.epoch += 1;
    if (chunk && choice < 0.2) await put(chunk);
    else if (chunk && choice < 0.4) {
      await history.delete(chunk.hash, async () => await told(async () => await remove(client, chunk.hash, state.epoch)));
    } else {
      mine.push(chunkOf(random));
      await put(mine.at(-1)!);
    }
  }
}

async function remove(client: DiskClient, hash: string, epoch: number): Promise<void> {
  const there = await client.statChunk({ hash });
  if (there) await client.deleteChunk({ hash, epoch, version: there.version });
}

/** Mostly small, one in sixteen long enough to have its sums written. */
function chunkOf(random: () => number): { hash: string; bytes: Buffer } {
  const size = random() < 1 / 16 ? 1_100_000 : 1 + Math.floor(random() * 60_000);
  const bytes = Buffer.alloc(size);
  for (let at = 0; at + 4 <= size; at += 4) bytes.writeUInt32LE(Math.floor(random() * 2 ** 32), at);
  return { bytes, hash: createHash("sha256").update(bytes).digest("hex") };
}

/** What a disk has under a name. */
export async function find(client: DiskClient, hash: string): Promise<Found> {
  try {
    await client.getChunk({ hash });
    return "intact";
  } catch (error) {
    const type = errorType(error);
    if (type === "CHUNK_NOT_FOUND") return "missing";
    if (type === "CHUNK_CORRUPT") return "corrupt";
    throw error;
  }
}
