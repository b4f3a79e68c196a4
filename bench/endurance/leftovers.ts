/** What must not be left when the last video is gone for ever. */
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Pool } from "pg";
import { eventually } from "../../test/support/eventually.ts";
import type { Watched } from "./figures.ts";

/** The sweep of uploads, the grace of blobs and then of chunks, and the trash of the disks. */
const GONE_MS = 240_000;
/** Above what its client needs to come back to it. */
const LEFT_FOR = "15 seconds";

/** Makes those overdue that were left: nobody waits for a day here. */
export async function expireUploads(db: Pool): Promise<void> {
  const stale = `created_at < now() - interval '${LEFT_FOR}' and coalesce(lease_until < now(), true)`;
  await db.query(`update uploads set expires_at = now() where state = 'open' and expires_at > now() and ${stale}`);
}

const ROWS = {
  videos: "select count(*) from videos",
  "uploads that are open": "select count(*) from uploads where state in ('open', 'complete')",
  "parts of uploads": "select count(*) from upload_parts",
  blobs: "select count(*) from blobs",
  chunks: "select count(*) from chunks",
  "copies that are missing": "select count(*) from missing_copies",
  "jobs of videos": "select count(*) from jobs where video_id is not null",
  renditions: "select count(*) from renditions",
  segments: "select count(*) from segments",
  captions: "select count(*) from captions",
  views: "select count(*) from video_views",
  "keys of requests": "select count(*) from idempotency_keys",
};

/** A sentence for each thing that is there still, when everything had the time to go. */
export async function leftovers(watched: Watched): Promise<string[]> {
  let left: string[] = [];
  const isEmpty = async (): Promise<boolean> => {
    await expireUploads(watched.db);
    left = await found(watched);
    return left.length === 0;
  };
  return await eventually(isEmpty, { timeoutMs: GONE_MS, what: "nothing" }).then(
    () => [],
    () => left,
  );
}

async function found({ db, tube, temporary }: Watched): Promise<string[]> {
  const counted = Object.entries(ROWS).map(async ([what, text]) => {
    const { rows } = await db.query<{ count: string }>(text);
    return [what, Number(rows[0]?.count)] as const;
  });
  const files = ["chunks", "tmp", "trash", "sums"].map(
    async (folder) => [`files in ${folder} of the disks`, await filesIn(tube.dataDir, folder)] as const,
  );
  const jobs = (await readdir(temporary, { recursive: true })).filter((path) => basename(path).startsWith("job-"));
  const all = [...(await Promise.all([...counted, ...files])), ["temporary folders of ffmpeg", jobs.length] as const];
  return all.filter(([, count]) => count > 0).map(([what, count]) => `${count} ${what} are left`);
}

async function filesIn(dataDir: string, folder: string): Promise<number> {
  const disks = (await readdir(dataDir)).filter((name) => /^disk[0-9]+$/.test(name));
  const lists = await Promise.all(
    disks.map(async (disk) => await readdir(join(dataDir, disk, folder), { recursive: true, withFileTypes: true })),
  );
  return lists.flat().filter((entry) => entry.isFile()).length;
}
