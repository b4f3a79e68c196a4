/**
 * `npm run test:powercut [-- --trials 12] [-- --seed N]`: power is cut under a disk while six writers store and delete chunks over gRPC.
 *
 * A real disk process serves a folder on a filesystem of its own (ext4, XFS) in a loop device. In the middle of the writes the filesystem is shut
 * down: what it did not have on its device then is gone. It is mounted again, which replays its journal, and the disk is started again: every
 * chunk that was acknowledged must be there and intact, and none that was deleted may be back.
 *
 * The same without a rule, as a control: when such a run loses nothing, the trials prove nothing. Needs root, xfsprogs and e2fsprogs.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DiskClient } from "../../mixins/disks/client.ts";
import { randomFrom } from "../../services/ring/domain/random.ts";
import { find, loadDisk } from "../support/disk-load.ts";
import { startDisk } from "../support/disks.ts";
import { History, type Problems } from "../support/history.ts";

const SECRET = "a secret of the tests";
/** XFS makes none below 300 MB. The file has holes: it takes what is written to it. */
const DEVICE_BYTES = 512 * 1024 * 1024;
const MKFS = { ext4: ["mkfs.ext4", "-q", "-F"], xfs: ["mkfs.xfs", "-q", "-f"] } as const;
type Filesystem = keyof typeof MKFS;

const { values } = parseArgs({ options: { trials: { type: "string", default: "12" }, seed: { type: "string" } } });
const seed = values.seed ?? String(randomInt(2 ** 31));

interface Row {
  readonly filesystem: Filesystem;
  /** The rule that is off. */
  readonly without: string;
  trials: number;
  puts: number;
  deletes: number;
  lost: number;
  corrupt: number;
  back: number;
}

async function run(filesystem: Filesystem, without: string, trials: number): Promise<Row> {
  const row: Row = { filesystem, without, trials: 0, puts: 0, deletes: 0, lost: 0, corrupt: 0, back: 0 };
  while (row.trials < trials) {
    const history = new History();
    const { lost, corrupt, back } = await trial(filesystem, without, history, randomFrom(`${seed} ${filesystem} ${without} ${row.trials}`));
    row.trials += 1;
    row.puts += history.acknowledged.puts;
    row.deletes += history.acknowledged.deletes;
    row.lost += lost.length;
    row.corrupt += corrupt.length;
    row.back += back.length;
  }
  return row;
}

async function trial(filesystem: Filesystem, without: string, history: History, random: () => number): Promise<Problems> {
  const root = await mkdtemp(join(tmpdir(), "tritontube-powercut-"));
  const [device, mount] = [join(root, "device"), join(root, "mount")];
  await writeFile(device, "");
  await truncate(device, DEVICE_BYTES);
  await mkdir(mount);
  const [mkfs, ...options] = MKFS[filesystem];
  execFileSync(mkfs, [...options, device]);
  execFileSync("mount", ["-o", "loop", device, mount]);
  try {
    await writeUntilTheCut(mount, without, history, random);
    execFileSync("umount", [mount]);
    execFileSync("mount", ["-o", "loop", device, mount]);
    return await look(mount, history);
  } finally {
    spawnSync("umount", [mount]);
    await rm(root, { recursive: true, force: true });
  }
}

/** Cuts right behind an acknowledgement, when most can be lost. */
async function writeUntilTheCut(mount: string, without: string, history: History, random: () => number): Promise<void> {
  const settings = without === "" ? {} : { WITHOUT: without };
  const disk = await startDisk({ dir: join(mount, "disk"), secret: SECRET, settings });
  try {
    const writes = 50 + Math.floor(random() * 250);
    const load = loadDisk(history, { address: disk.address, secret: SECRET, random, epoch: 1 });
    await history.until(writes);
    execFileSync("xfs_io", ["-x", "-c", "shutdown", mount]);
    await load;
  } finally {
    await disk.kill();
  }
}

async function look(mount: string, history: History): Promise<Problems> {
  const disk = await startDisk({ dir: join(mount, "disk"), secret: SECRET }).catch(() => undefined);
  // Without its identity, say: then nothing of it can be found.
  if (!disk) return await history.problems(async () => await Promise.resolve("missing"));
  const client = new DiskClient({ address: disk.address, secret: SECRET });
  try {
    return await history.problems(async (hash) => await find(client, hash));
  } finally {
    client.close();
    await disk.kill();
  }
}

function require(command: string, install: string): void {
  if (spawnSync("which", [command]).status !== 0) throw new Error(`${command} is missing; install it with: apt-get install -y ${install}`);
}

async function main(): Promise<number> {
  if (process.getuid?.() !== 0) throw new Error("Power cuts are made with a loop device, which takes root.");
  require("xfs_io", "xfsprogs");
  require("mkfs.xfs", "xfsprogs");
  require("mkfs.ext4", "e2fsprogs");
  const trials = Number(values.trials);
  console.log(`Power cuts, ${trials} a filesystem; seed ${seed}`);
  const rows: Row[] = [];
  for (const filesystem of ["ext4", "xfs"] as const) rows.push(await run(filesystem, "", trials));
  const controls: Row[] = [];
  for (const filesystem of ["ext4", "xfs"] as const) controls.push(await run(filesystem, "sync of files", 2));
  controls.push(await run("ext4", "sync of folders", trials));
  console.table([...rows, ...controls]);
  const kept = rows.every(({ lost, corrupt, back }) => lost + corrupt + back === 0);
  const canFail = controls.filter(({ without }) => without === "sync of files").every(({ lost, corrupt }) => lost + corrupt > 0);
  console.log(kept ? "Nothing that was acknowledged was lost." : "ACKNOWLEDGED CHUNKS WERE LOST.");
  if (!canFail) console.log("THE CONTROL LOST NOTHING: these trials prove nothing.");
  return kept && canFail ? 0 : 1;
}

process.exitCode = await main();
