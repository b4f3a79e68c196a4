/** The main job as a newcomer meets it: the real launcher, real disks, real PostgreSQL, real ffmpeg, and whatever can be killed. */
import { segmentAddresses, getVideo, untilStatus, uploadFile } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { countFrames, decodeFrames, makeSource, startTimes } from "../support/media.ts";
import { childrenOf, isAlive, removeFolder, startTritonTube, temporaryFolder, type TritonTube } from "../support/tritontube.ts";

/** 7 s at 30 frames a second: two whole segments and a rest. */
const SECONDS = 7;
const FRAMES = SECONDS * 30;

let folder: string;
let source: string;
beforeAll(async () => {
  folder = await temporaryFolder("tritontube-main-");
  source = await makeSource(folder, { seconds: SECONDS });
});
afterAll(async () => await removeFolder(folder));

describe("a running TritonTube", () => {
  let tube: TritonTube;
  let id: string;
  beforeAll(async () => {
    tube = await startTritonTube({ env: { SEGMENT_CACHE_BYTES: "0" } });
    const seen: number[] = [];
    ({ id } = await uploadFile(tube.url, source));
    await eventually(
      async () => {
        const video = await getVideo(tube.url, id);
        seen.push(video.progress);
        return video.status === "ready";
      },
      { timeoutMs: 120_000, what: "the video to be ready" },
    );
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen.at(-1)).toBe(1);
  }, 240_000);
  afterAll(async () => {
    expect(await tube.stop()).toBe(0);
    await removeFolder(tube.dataDir);
  }, 240_000);

  it("knows what was uploaded", async () => {
    const video = await getVideo(tube.url, id);
    expect(video).toMatchObject({ status: "ready", playable: true, progress: 1, width: 1280, height: 720, error: null });
    expect(video.duration).toBeCloseTo(SECONDS, 1);
    expect(
      video.renditions
        .filter(({ height }) => height > 0)
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(["240p", "360p", "480p", "720p"]);
  });

  it.each(["manifest.mpd", "master.m3u8"])(
    "gives every frame of the source through %s, and sound that starts with the picture",
    async (manifest) => {
      const address = `${tube.url}/api/v1/videos/${id}/${manifest}`;
      expect(await decodeFrames(address)).toBe(FRAMES);
      const { audio, video } = await startTimes(address);
      expect(Math.abs(audio - video)).toBeLessThanOrEqual(0.04);
    },
    60_000,
  );

  it("counts who has watched it, once", async () => {
    expect(await eventually(async () => (await getVideo(tube.url, id)).views, { what: "a view" })).toBe(1);
  });

  it("keeps playing while one disk is killed, and starts that disk again", async () => {
    const addresses = await segmentAddresses(`${tube.url}/api/v1/videos/${id}/master.m3u8`);
    const before = await bytesOf(addresses);
    const disks = (await childrenOf(tube.pid)).filter(({ command }) => command.includes("services/disk/main.ts"));
    expect(disks).toHaveLength(3);
    process.kill(disks[0]!.pid, "SIGKILL");
    expect(await bytesOf(addresses)).toEqual(before);
    await eventually(
      async () => (await childrenOf(tube.pid)).filter(({ command }) => command.includes("services/disk/main.ts")).length === 3,
      { what: "three disks again" },
    );
    expect(await bytesOf(addresses)).toEqual(before);
  }, 240_000);

  it("makes a deleted video vanish everywhere at once", async () => {
    const extra = await uploadFile(tube.url, source);
    await untilStatus(tube.url, extra.id, ["ready"]);
    const addresses = await segmentAddresses(`${tube.url}/api/v1/videos/${extra.id}/master.m3u8`);
    const gone = [extra.id, `${extra.id}/status`, `${extra.id}/manifest.mpd`, `${extra.id}/master.m3u8`, `${extra.id}/thumbnail.jpg`].map(
      (path) => `${tube.url}/api/v1/videos/${path}`,
    );
    expect((await fetch(gone[0]!, { method: "DELETE" })).status).toBe(204);
    for (const address of [...gone, ...addresses.slice(0, 2)]) expect([address, (await fetch(address)).status]).toEqual([address, 404]);
    const list = (await (await fetch(`${tube.url}/api/v1/videos`)).json()) as { data: { id: string }[] };
    expect(list.data.map((video) => video.id)).toEqual([id]);
  }, 240_000);
});

describe("what is killed", () => {
  it("finishes, after the next start, the video whose conversion was cut off, and leaves no process behind", async () => {
    const long = await makeSource(folder, { seconds: 40 });
    const first = await startTritonTube();
    const { id } = await uploadFile(first.url, long);
    await untilStatus(first.url, id, ["processing"]);
    await eventually(async () => (await getVideo(first.url, id)).progress > 0.05, { what: "some progress" });
    const children = await childrenOf(first.pid);
    expect(children.length).toBeGreaterThanOrEqual(4);
    await first.kill();
    await eventually(async () => (await Promise.all(children.map(({ pid }) => isAlive(pid)))).every((alive) => !alive), {
      what: "the children to end",
    });

    const second = await startTritonTube({ dataDir: first.dataDir });
    await untilStatus(second.url, id, ["ready"], 240_000);
    expect(await decodeFrames(`${second.url}/api/v1/videos/${id}/manifest.mpd`)).toBe(await countFrames(long));
    expect(await second.stop()).toBe(0);

    const third = await startTritonTube({ dataDir: first.dataDir });
    expect(await getVideo(third.url, id)).toMatchObject({ id, status: "ready" });
    expect(await third.stop()).toBe(0);
    await removeFolder(first.dataDir);
  }, 400_000);
});

async function bytesOf(addresses: readonly string[]): Promise<number[]> {
  return await Promise.all(addresses.map(async (address) => (await (await fetch(address)).arrayBuffer()).byteLength));
}
