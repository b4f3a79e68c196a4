/** Every setting of every process: its type, its default, what it means. The README's table is made from the descriptions here. */
import { z } from "zod";

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;

const integer = (min: number, max: number) => {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.coerce.number({ error }).int({ error }).min(min, { error }).max(max, { error });
};
const flag = z.enum(["true", "false"]).transform((word) => word === "true");
const address = z.string().regex(/^[A-Za-z0-9.-]{1,253}:[0-9]{1,5}$/, "must be host:port");
const addresses = z
  .string()
  .transform((text): readonly string[] => text.split(",").map((part) => part.trim()))
  .pipe(z.array(address).min(1).max(1000).readonly());

/** Fifty gibibytes: what the hashes of one blob may weigh in a control message sets the limit (services/blobs/contract.ts). */
const UPLOAD_BYTES_MAX = 50 * GiB;

export const settings = {
  NODE_ID: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,100}$/)
    .optional()
    .describe("this broker node's name in the cluster; default: host name and process id"),
  ZONE: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,50}$/)
    .default("default")
    .describe("the failure domain of this process (a rack, an availability zone)"),
  LOG_LEVEL: z
    .enum(["fatal", "error", "warn", "info", "debug", "trace"])
    .default("info")
    .describe("the least important log line that is written"),
  LOG_FORMAT: z.enum(["json", "pretty"]).default("json").describe("one JSON object a line, or lines for a person"),

  DATA_DIR: z.string().min(1).default("./data").describe("where the embedded database and disks keep everything"),
  HOST: z.string().min(1).default("127.0.0.1").describe("address the gateway listens on"),
  PORT: integer(0, 65_535).default(3000).describe("port the gateway listens on; 0 takes a free one"),
  ALLOW_ANONYMOUS: flag.default(false).describe("true lets the gateway listen beyond loopback although nobody has to sign in"),

  DATABASE_URL: z
    .url({ protocol: /^postgres(ql)?$/, error: "must be postgres://user:password@host:port/database" })
    .optional()
    .describe("an own PostgreSQL 15 or newer; default: the embedded one"),
  DATABASE_POOL: integer(2, 50).default(8).describe("connections to the database from this process"),
  NATS_URL: z
    .url({ protocol: /^nats$|^tls$/, error: "must be nats://host:port" })
    .optional()
    .describe("joins this process to a cluster; default: one process is all"),

  DISKS: addresses.optional().describe("addresses of the disks, comma separated; default: EMBEDDED_DISKS child processes"),
  EMBEDDED_DISKS: integer(1, 12).default(3).describe("disks that `npm start` runs by itself"),
  DISK_SECRET: z
    .string()
    .min(16, "must have at least 16 characters")
    .optional()
    .describe("what callers must show to a disk; `npm start` makes its own"),
  DISK_HOST: z.string().min(1).default("127.0.0.1").describe("address a disk listens on"),
  DISK_PORT: integer(0, 65_535).default(0).describe("port a disk listens on; 0 takes a free one"),
  DISK_DIR: z.string().min(1).optional().describe("the folder of a disk"),
  DISK_RESERVE_BYTES: integer(0, 1024 * GiB)
    .default(1 * GiB)
    .describe("a disk takes no more chunks when less than this would stay free"),

  UPLOAD_BYTES_MAX: integer(1, UPLOAD_BYTES_MAX).default(UPLOAD_BYTES_MAX).describe("largest upload"),
  UPLOAD_IDLE_SECONDS: integer(1, 3600).default(60).describe("an upload that sends nothing for this long is ended"),
  // As many as can each fill a buffer while two are left over; more would only wait for one another.
  UPLOADS_AT_ONCE: integer(1, 1000)
    .default(16)
    .describe("uploads that one gateway takes in at the same time, at most WRITE_BUFFERS - 2; more are asked to come back"),
  // 144 MiB at worst: an upload alone uses three, and sixteen slow ones leave two.
  WRITE_BUFFERS: integer(2, 256).default(18).describe("chunks of 8 MiB that one process holds in memory on their way to disks"),
  SEGMENT_CACHE_BYTES: integer(0, 16 * GiB)
    .default(64 * MiB)
    .describe("memory for segments that are asked for often"),

  FFMPEG_PATH: z.string().min(1).optional().describe("ffmpeg to use; default: the one on PATH, then the one from npm"),
  FFPROBE_PATH: z.string().min(1).optional().describe("ffprobe to use; default: likewise"),
  // With one, its cores stand idle where a span begins and ends: a minute of 720p took 43 s, and 26 s with two.
  TRANSCODER_SLOTS: integer(1, 64)
    .default(2)
    .describe("spans that one process converts at the same time; each takes about 600 MB at 1080p"),
  X264_PRESET: z
    .enum(["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"])
    .default("veryfast")
    .describe("speed against size; medium costs 2.3 times the CPU for 1.4 VMAF more"),
  SOURCE_SECONDS_MAX: integer(1, 48 * 3600)
    .default(12 * 3600)
    .describe("longest video"),
  SOURCE_PIXELS_MAX: integer(1, 268_435_456)
    .default(35_389_440)
    .describe("most pixels in a frame: 8192 × 4320; a decoder takes about 8 bytes for each"),
} as const;

export type SettingName = keyof typeof settings;
export type Config = { readonly [Name in SettingName]: z.output<(typeof settings)[Name]> };

/** Settings that a file may hold instead (`NAME_FILE=/run/secrets/name`), and that are never printed. */
export const secrets: readonly SettingName[] = ["DATABASE_URL", "DISK_SECRET", "NATS_URL"];
