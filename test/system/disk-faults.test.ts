/** What becomes of disks, one fault after the other on one cluster: uploads and playback go on, the operator sees it, and the repair ends by itself. */
import { createHash } from "node:crypto";
import { access, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { segmentAddresses, uploadFile, untilStatus } from "../support/client.ts";
import { chunkFile, flipByte, startDisks, type TestDisk, type TestDisks } from "../support/disks.ts";
import { eventually } from "../support/eventually.ts";
import { another, makeSource } from "../support/media.ts";
import { describeWith } from "../support/neighbours.ts";
import { removeFolder, startTritonTube, temporaryFolder, type TritonTube } from "../support/tritontube.ts";

/** The clock, the rounds that it sets off, and the repair, on a machine that does much else. */
const PATIENCE_MS = 90_000;
const COPIES = 3;

interface DiskJson {
  readonly id: string;
  readonly address: string;
  readonly state: string;
  readonly up: boolean;
  readonly reason: string | null;
  readonly partitions: number;
  readonly faults: number;
  readonly quarantineBytes: number;
}

interface Health {
  readonly status: string;
  readonly checks: { readonly disks: { readonly status: string; readonly up?: number; readonly down?: number } };
}

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
const exists = async (path: string): Promise<boolean> =>
  await access(path).then(
    () => true,
    () => false,
  );

describeWith("ffmpeg", "a disk", () => {
  let folder: string;
  let source: string;
  let disks: TestDisks;
  let tube: TritonTube;
  let playlist: string;
  /** What a viewer gets of the first video, by its address; each is one chunk, whose name is its hash. */
  let segments: Map<string, string>;

  beforeAll(async () => {
    folder = await temporaryFolder("tritontube-faults-");
    [source, disks] = await Promise.all([makeSource(folder, { seconds: 3, size: "320x180" }), startDisks(4)]);
    tube = await startTritonTube({
      env: {
        DISKS: disks.disks.map(({ address }) => address).join(","),
        DISK_SECRET: disks.secret,
        // Longer than the other faults last: for them nothing moves.
        DISK_OUT_SECONDS: "15",
        SEGMENT_CACHE_BYTES: "0",
        X264_PRESET: "ultrafast",
      },
    });
    const { id } = await uploadFile(tube.url, source);
    const { manifests } = await untilStatus(tube.url, id, ["ready"]);
    playlist = new URL(manifests.hls, tube.url).href;
    segments = await played();
    expect(segments.size).toBeGreaterThan(2);
  }, 240_000);
  afterAll(async () => {
    await tube.stop();
    await disks.stop();
    await removeFolder(tube.dataDir);
    await removeFolder(folder);
  }, 240_000);

  async function played(): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (const address of await segmentAddresses(playlist)) {
      const response = await fetch(address);
      expect([address, response.status]).toEqual([address, 200]);
      found.set(address, sha256(Buffer.from(await response.arrayBuffer())));
    }
    return found;
  }

  /** The old video plays as it was, and a new one is taken in and made. */
  async function goesOn(): Promise<void> {
    expect(await played()).toEqual(segments);
    const path = join(folder, "another.mp4");
    await writeFile(path, another(await readFile(source)));
    const { id } = await uploadFile(tube.url, path);
    expect((await untilStatus(tube.url, id, ["ready", "failed"], PATIENCE_MS)).status).toBe("ready");
  }

  async function asked<T>(path: string, method = "GET", body?: object): Promise<T> {
    const response = await fetch(`${tube.url}/api/v1/admin/${path}`, {
      method,
      ...(body ? { headers: { "content-type": "application/json" }, body: JSON.stringify(body) } : {}),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return (text === "" ? undefined : (JSON.parse(text) as { data: T }).data) as T;
  }

  const seen = async (id: string): Promise<DiskJson | undefined> => (await asked<DiskJson[]>("disks")).find((disk) => disk.id === id);
  const health = async (): Promise<{ code: number } & Health> => {
    const response = await fetch(`${tube.url}/health`);
    return { code: response.status, ...((await response.json()) as Health) };
  };

  /** Degraded is not down: a probe must not take away what still serves. */
  async function isToldAway(...ids: readonly string[]): Promise<void> {
    const codes = new Set<number>();
    await eventually(
      async () => {
        const { code, status, checks } = await health();
        codes.add(code);
        return status === "degraded" && checks.disks.down === ids.length;
      },
      { what: `${ids.length} disks down in the report` },
    );
    for (const id of ids) expect(await seen(id)).toMatchObject({ up: false });
    expect([...codes]).toEqual([200]);
  }

  /** So many disks serve, nothing moves, nothing lacks, and what is played has all of its copies on those that live. */
  async function isWhole(living: readonly TestDisk[]): Promise<void> {
    const ids = living.map(({ id }) => id).toSorted();
    await eventually(
      async () => {
        const serving = (await asked<DiskJson[]>("disks")).filter(({ state }) => state === "in");
        expect(serving.map(({ id, up }) => (up ? id : `${id} is away`)).toSorted()).toEqual(ids);
        const { moves } = await asked<{ moves: { partitions: { total: number; done: number } } }>("ring");
        expect([moves.partitions.done, await asked("storage/repairs")]).toEqual([moves.partitions.total, []]);
        for (const hash of segments.values()) expect(await copiesOf(hash, living)).toBeGreaterThanOrEqual(COPIES);
        expect((await health()).checks.disks).toEqual({ status: "ok", up: living.length, down: 0 });
        return true;
      },
      { timeoutMs: PATIENCE_MS, what: "the end of the repair" },
    );
  }

  it("with a byte that has changed never shows it: the chunk goes into quarantine, and is brought again", async () => {
    const [hash] = segments.values();
    const holders: TestDisk[] = [];
    for (const disk of disks.disks) if (await exists(chunkFile(disk, hash!))) holders.push(disk);
    const rotten = holders.slice(0, 2);
    for (const disk of rotten) await flipByte(chunkFile(disk, hash!), 100);
    await goesOn();
    for (const { id } of rotten) await asked(`disks/${id}/scrub`, "POST", { command: "now" });
    for (const { id } of rotten) {
      await eventually(async () => (await seen(id))?.faults === 1, { what: "its fault to be told" });
      expect((await seen(id))?.quarantineBytes).toBeGreaterThan(0);
    }
    await isWhole(disks.disks);
    for (let n = 0; n < 6; n++) expect(await played()).toEqual(segments);
    expect((await Promise.all(rotten.map(({ id }) => seen(id)))).map((disk) => disk?.faults)).toEqual([1, 1]);
  }, 240_000);

  it("that hangs keeps nobody, and goes on when it wakes up", async () => {
    const hung = disks.disks[1]!;
    await hung.kill("SIGSTOP");
    try {
      await isToldAway(hung.id);
      await goesOn();
    } finally {
      await hung.kill("SIGCONT");
    }
    await isWhole(disks.disks);
    expect(await seen(hung.id)).toMatchObject({ state: "in", up: true });
  }, 240_000);

  it("that answers at the address of another is found there, and the other where it is", async () => {
    const [, , one, other] = disks.disks as [TestDisk, TestDisk, TestDisk, TestDisk];
    const ports = [one, other].map(({ address }) => address.split(":")[1]!) as [string, string];
    await Promise.all([one.kill(), other.kill()]);
    await isToldAway(one.id, other.id);
    await goesOn();
    await one.restart({ DISK_PORT: ports[1] });
    await other.restart({ DISK_PORT: ports[0] });
    await isWhole(disks.disks);
    for (const { id, address } of [one, other]) expect(await seen(id)).toMatchObject({ state: "in", address });
    await goesOn();
  }, 240_000);

  it("that was wiped is not taken for the one that it was; an operator lets it in as the new one that it is", async () => {
    const wiped = disks.disks[3]!;
    const former = wiped.id;
    await wiped.kill();
    await rename(wiped.dir, join(folder, "wiped"));
    await mkdir(wiped.dir);
    await wiped.restart();
    expect(wiped.id).not.toBe(former);
    const told = `At ${wiped.address} answers another disk, ${wiped.id}.`;
    await eventually(async () => (await seen(former))?.reason === told, { what: "the operator to see that another disk is there" });
    expect(await seen(wiped.id)).toBeUndefined();
    await goesOn();
    await isWhole(disks.disks.slice(0, 3));
    expect(await seen(former)).toMatchObject({ state: "out", partitions: 0 });

    await asked("disks", "POST", { address: wiped.address });
    await asked(`disks/${former}?force=true`, "DELETE");
    await asked("ring/apply", "POST", { epoch: (await asked<{ epoch: number }>("ring")).epoch });
    await isWhole(disks.disks);
    expect(await seen(former)).toBeUndefined();
    expect((await seen(wiped.id))?.partitions).toBeGreaterThan(0);
  }, 240_000);

  it("that is gone for good is put out by the clock, and what it had is made again on the others", async () => {
    const [gone, ...others] = disks.disks as [TestDisk, ...TestDisk[]];
    await gone.kill();
    await rename(gone.dir, join(folder, "gone"));
    await isToldAway(gone.id);
    await goesOn();
    await isWhole(others);
    expect(await seen(gone.id)).toMatchObject({ state: "out", up: false, partitions: 0 });
    await goesOn();
  }, 240_000);
});

async function copiesOf(hash: string, living: readonly TestDisk[]): Promise<number> {
  const found = await Promise.all(living.map(async (disk) => await exists(chunkFile(disk, hash))));
  return found.filter(Boolean).length;
}
