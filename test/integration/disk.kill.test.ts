/** Real disks that die at each step of what they do to their medium, while many write to them: what they acknowledged is there afterwards. */
import { randomInt } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DiskClient } from "../../mixins/disks/client.ts";
import { randomFrom } from "../../services/ring/domain/random.ts";
import { find, loadDisk } from "../support/disk-load.ts";
import { draftsIn, filesIn, startDisk } from "../support/disks.ts";
import { POINTS, SIDES } from "../support/failing-disk.ts";
import { History } from "../support/history.ts";

const SECRET = "a secret of the tests";
const SEED = Number(process.env["SEED"] ?? randomInt(2 ** 31));
const cases = Object.keys(POINTS).flatMap((point) => SIDES.map((side) => `${side} ${point}`));

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tritontube-kill-"));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

describe(`a disk that is killed (SEED=${SEED})`, () => {
  it.each(cases)("%s has all that it acknowledged, nothing that it deleted, and nothing half done", async (point) => {
    const random = randomFrom(`${SEED} ${point}`);
    const history = new History();
    const nth = 1 + Math.floor(random() * 8);
    const disk = await startDisk({ dir: join(root, "disk"), secret: SECRET, settings: { FAILPOINT: `${point} ${nth}` } });
    await loadDisk(history, { address: disk.address, secret: SECRET, random, epoch: 1 });
    expect(await disk.ended).toBe("SIGKILL");
    await disk.restart();
    const client = new DiskClient({ address: disk.address, secret: SECRET });
    expect(await history.problems((hash) => find(client, hash))).toEqual({ lost: [], corrupt: [], back: [] });
    const { chunks, epoch, faults } = await client.getDisk();
    expect({ chunks, faults }).toEqual({ chunks: (await filesIn(disk, "chunks")).length, faults: 0 });
    expect(epoch).toBeGreaterThanOrEqual(history.acknowledged.epoch);
    expect(await draftsIn(disk)).toEqual([]);
    client.close();
    await disk.kill();
  });
});
