/** What goes on while a part of a cluster is away: the table in docs/operations.md, row by row. */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { getVideo, segmentAddresses, untilStatus, uploadFile, type VideoJson } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { makeSource } from "../support/media.ts";
import { describeWith } from "../support/neighbours.ts";
import { startProcesses, type Processes } from "../support/processes.ts";
import { removeFolder, temporaryFolder } from "../support/tritontube.ts";

const PATIENCE_MS = 240_000;

interface Row {
  readonly away: string;
  /** What is taken away, and brought back. */
  readonly parts: (cluster: Processes) => readonly { halt(): Promise<void>; resume(): Promise<void> }[];
  /** What a gateway answers to who watches on, who searches, and who uploads. */
  readonly watching: number;
  readonly searching: number;
  readonly uploading: number;
}

const rows: readonly Row[] = [
  { away: "NATS", parts: ({ nats }) => [nats], watching: 200, searching: 503, uploading: 503 },
  { away: "PostgreSQL", parts: ({ database }) => [database], watching: 200, searching: 503, uploading: 503 },
  { away: "every node that decides", parts: ({ nodes }) => nodes.videos, watching: 200, searching: 503, uploading: 503 },
  { away: "the node of the ring", parts: ({ nodes }) => nodes.ring, watching: 200, searching: 200, uploading: 202 },
  { away: "every transcoder", parts: ({ nodes }) => nodes.transcoder, watching: 200, searching: 200, uploading: 202 },
  { away: "one disk of three", parts: ({ disks }) => disks.slice(0, 1), watching: 200, searching: 200, uploading: 202 },
  { away: "two disks of three", parts: ({ disks }) => disks.slice(0, 2), watching: 200, searching: 200, uploading: 503 },
];

type Part = ReturnType<Row["parts"]>[number];

async function without<T>(parts: readonly Part[], work: () => Promise<T>): Promise<T> {
  await Promise.all(parts.map(async (part) => await part.halt()));
  try {
    return await work();
  } finally {
    await Promise.all(parts.map(async (part) => await part.resume()));
  }
}

describeWith(["nats-server", "ffmpeg", "ffprobe"], "while a part of a cluster is away", () => {
  let folder: string;
  let cluster: Processes;
  let film: Buffer;
  let segments: readonly string[];

  beforeAll(async () => {
    folder = await temporaryFolder("tritontube-degradation-");
    // No segment comes out of memory.
    cluster = await startProcesses({ settings: { SEGMENT_CACHE_BYTES: "0" } });
    const source = await makeSource(folder, { seconds: 3, size: "320x180" });
    film = await readFile(source);
    const { id } = await uploadFile(cluster.urls[0]!, source);
    await untilStatus(cluster.urls[0]!, id, ["ready"], PATIENCE_MS);
    segments = await segmentAddresses(`${cluster.urls[0]}/api/v1/videos/${id}/master.m3u8`);
    expect(await watch()).toEqual([200]);
    // It comes after the rest, and changes the video once more: from now on it stays as it is.
    const hasStoryboard = async (): Promise<boolean> =>
      ((await getVideo(cluster.urls[0]!, id)) as VideoJson & { storyboard: string | null }).storyboard !== null;
    await eventually(hasStoryboard, { timeoutMs: PATIENCE_MS, what: "the storyboard" });
  }, PATIENCE_MS);
  afterAll(async () => {
    await cluster.stop();
    await removeFolder(folder);
  }, PATIENCE_MS);

  /** The different answers to who asks for every segment. */
  async function watch(): Promise<number[]> {
    const answers = [];
    for (const address of segments) {
      const answer = await fetch(address);
      await answer.arrayBuffer();
      answers.push(answer.status);
    }
    return [...new Set(answers)];
  }

  /** Each time for something else: answers are given again for a moment. */
  async function search(): Promise<number> {
    return (await fetch(`${cluster.urls[0]}/api/v1/videos?q=${randomUUID()}`)).status;
  }

  async function upload(title: string): Promise<{ status: number; id: string | undefined }> {
    const headers = { "Content-Type": "video/mp4" };
    // Other bytes each time, so that none are there already: what stands behind the last box of a file is nobody's.
    const body = Buffer.concat([film, Buffer.from(randomUUID())]);
    const answer = await fetch(`${cluster.urls[0]}/api/v1/videos/upload?title=${title}`, {
      method: "POST",
      headers,
      body: new Uint8Array(body),
    });
    const { data } = (await answer.json()) as { data?: { id: string } };
    return { status: answer.status, id: data?.id };
  }

  /** Answers the video that was taken in. */
  async function whileAway({ watching, searching, uploading }: Row): Promise<string | undefined> {
    await eventually(async () => (await search()) === searching, { what: "the search to be answered as it should" });
    expect(await watch()).toEqual([watching]);
    const { status, id } = await upload("meanwhile");
    expect([status, await search()]).toEqual([uploading, searching]);
    return id;
  }

  it.each(rows)(
    "$away: watching on is answered $watching, searching $searching, uploading $uploading; and all is well when it is back",
    async (row) => {
      const parts = row.parts(cluster);
      expect(await watch()).toEqual([200]);
      const taken = await without(parts, async () => await whileAway(row));
      await eventually(async () => (await search()) === 200, { timeoutMs: PATIENCE_MS, what: "the search" });
      const later = await eventually(async () => (await upload("later")).id, { timeoutMs: PATIENCE_MS, what: "an upload" });
      for (const id of [taken, later]) if (id !== undefined) await untilStatus(cluster.urls[0]!, id, ["ready"], PATIENCE_MS);
    },
    2 * PATIENCE_MS,
  );
});
