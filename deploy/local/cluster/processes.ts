/** All processes of a cluster on one machine: a database, NATS, disks in two zones, and broker nodes by their profiles. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Environment } from "../../../config/index.ts";
import { superviseDisk } from "../disks.ts";
import type { Stops } from "../launch.ts";
import { secretFile } from "../secret.ts";
import { supervise, type Supervised } from "../supervise.ts";
import { superviseDatabase, type SupervisedDatabase } from "./database.ts";
import { superviseNats, type SupervisedNats } from "./nats.ts";
import { nodeProgram, type Profile } from "./nodes.ts";

/** As many as can be lost at once: one of two. */
const ZONES = ["zone1", "zone2"] as const;

export interface ClusterOptions {
  readonly dataDir: string;
  /** How many of each. */
  readonly disks: number;
  readonly nodes: Readonly<Record<Profile, number>>;
  /** Of the first gateway; the others get those that follow. 0: free ones. */
  readonly port: number;
  /** Of the first node; the others get those that follow. Default: no figures. */
  readonly metricsPort?: number | undefined;
  /** Further settings of every node. */
  readonly settings?: Environment;
  readonly logLevel: string;
  readonly log: (message: string) => void;
  /** A file descriptor for the logs of all processes. */
  readonly output?: number | undefined;
  /** What stops all of it, also when only a part has started. */
  readonly stops: Stops;
}

/** What stops together: each needs those before it to end well. A transcoder gives its jobs back to a node that decides, which needs the database. */
interface Tiers {
  readonly ground: Stops;
  readonly disks: Stops;
  readonly deciding: Stops;
  readonly working: Stops;
}

export interface Cluster {
  readonly database: SupervisedDatabase;
  readonly nats: SupervisedNats;
  readonly disks: readonly Supervised[];
  readonly nodes: Readonly<Record<Profile, readonly Supervised[]>>;
  /** What a further node has to be told to join. */
  readonly joining: Environment;
}

/** Answers when every process is there; the services find each other within the next second or two. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { dataDir, log } = options;
  const tiers = tiersOf(options.stops);
  await mkdir(dataDir, { recursive: true });
  const secret = await secretFile(join(dataDir, "secrets/disk"));
  const [database, nats, disks] = await together([
    stopped(tiers.ground, superviseDatabase(dataDir, log)),
    stopped(tiers.ground, superviseNats({ dataDir, log })),
    together(Array.from({ length: options.disks }, (_, index) => stopped(tiers.disks, startDisk(options, index, secret)))),
  ] as const);
  const joining = {
    ...options.settings,
    ...database.environment,
    LOG_LEVEL: options.logLevel,
    NATS_URL: nats.url,
    DISK_SECRET: secret,
    DISKS: disks.map(({ address }) => address).join(","),
    DATA_DIR: dataDir,
  };
  const nodes = await startNodes(options, joining, tiers);
  return { database, nats, disks, nodes, joining };
}

async function startDisk({ dataDir, logLevel, log, output }: ClusterOptions, index: number, secret: string): Promise<Supervised> {
  return await superviseDisk({ dir: join(dataDir, `disk${index + 1}`), zone: zoneOf(index), secret, logLevel, log, output });
}

async function startNodes(options: ClusterOptions, joining: Environment, tiers: Tiers): Promise<Cluster["nodes"]> {
  const wanted = Object.entries(options.nodes).flatMap(([profile, count]) =>
    Array.from({ length: count }, (_, index) => ({ profile: profile as Profile, index })),
  );
  const started = await together(
    wanted.map(async ({ profile, index }, position) => {
      const port = profile === "gateway" && options.port !== 0 ? options.port + index : 0;
      const own = {
        ZONE: zoneOf(index),
        PORT: String(port),
        METRICS_PORT: options.metricsPort === undefined ? undefined : String(options.metricsPort + position),
      };
      const program = nodeProgram({ id: `${profile}-${index + 1}`, profile, environment: { ...joining, ...own } });
      return { profile, node: await stopped(tierOf(profile, tiers), supervise(program, options)) };
    }),
  );
  const of = (profile: Profile): Supervised[] => started.filter((one) => one.profile === profile).map(({ node }) => node);
  return { videos: of("videos"), ring: of("ring"), gateway: of("gateway"), transcoder: of("transcoder") };
}

function tiersOf(stops: Stops): Tiers {
  const tiers = { ground: [], disks: [], deciding: [], working: [] } satisfies Tiers;
  for (const tier of Object.values<Stops>(tiers)) stops.push(async () => await Promise.all(tier.map(async (stop) => await stop())));
  return tiers;
}

function tierOf(profile: Profile, { deciding, working }: Tiers): Stops {
  return profile === "videos" || profile === "ring" ? deciding : working;
}

function zoneOf(index: number): string {
  return ZONES[index % ZONES.length]!;
}

async function stopped<T extends { stop(): Promise<void> }>(stops: Stops, starting: Promise<T>): Promise<T> {
  const started = await starting;
  stops.push(async () => await started.stop());
  return started;
}

/** All of them, or the first failure when the others have started or failed, too: nothing goes on starting while all is stopped. */
async function together<T extends readonly unknown[]>(all: { readonly [K in keyof T]: Promise<T[K]> }): Promise<T> {
  const ended = await Promise.allSettled(all);
  const failed = ended.find((one) => one.status === "rejected");
  if (failed) throw failed.reason;
  return ended.map((one) => (one as PromiseFulfilledResult<unknown>).value) as unknown as T;
}
