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

const listOf = (item: z.ZodType<string, string>) =>
  z
    .string()
    .transform((text): readonly string[] => text.split(",").map((part) => part.trim()))
    .pipe(z.array(item).min(1).max(100).readonly());
/** As browsers write it: nothing behind the port, and no port that is the scheme's own. */
const origins = listOf(
  z
    .string()
    .refine((text) => /^https?:/.test(text) && URL.parse(text)?.origin === text, "must be origins such as https://tube.example.org"),
);
const networks = listOf(z.string().regex(/^[0-9a-fA-F.:]{2,45}(?:\/[0-9]{1,3})?$/, "must be addresses or networks such as 10.0.0.0/8"));

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
  SERVICES: listOf(z.string().regex(/^[a-z]+$/, "must be names of services such as gateway,storage"))
    .optional()
    .describe(
      "the services of this process, comma separated; it is one of several then, and starts no database and no disks; default: all",
    ),
  LOG_LEVEL: z
    .enum(["fatal", "error", "warn", "info", "debug", "trace"])
    .default("info")
    .describe("the least important log line that is written"),
  LOG_FORMAT: z.enum(["json", "pretty"]).default("json").describe("one JSON object a line, or lines for a person"),

  DATA_DIR: z.string().min(1).default("./data").describe("where the embedded database and disks keep everything"),
  HOST: z.string().min(1).default("127.0.0.1").describe("address the gateway listens on"),
  PORT: integer(0, 65_535).default(3000).describe("port the gateway listens on; 0 takes a free one"),
  AUTH_MODE: z
    .enum(["none", "token", "basic"])
    .default("none")
    .describe(
      "who has to sign in: nobody (everyone is the administrator), or users, who show a token or a session (`token`), or with each request a name and a password as well (`basic`)",
    ),
  ALLOW_ANONYMOUS: flag.default(false).describe("true lets the gateway listen beyond loopback although nobody has to sign in"),
  TLS_CERT_FILE: z
    .string()
    .min(1)
    .optional()
    .describe("certificates in PEM, the server's own first: with it, HTTPS and HTTP/2 instead of HTTP"),
  TLS_KEY_FILE: z.string().min(1).optional().describe("the certificate's private key in PEM"),
  CORS_ORIGINS: origins.optional().describe("origins whose pages may use the API, comma separated, such as `https://tube.example.org`"),
  TRUSTED_PROXIES: networks
    .optional()
    .describe("addresses and networks of proxies in front of the gateway, comma separated: only these are believed who they ask for"),
  RATE_LIMITS: flag
    .optional()
    .describe("whether those who ask often are slowed down; default: where somebody has to sign in, or anybody but this machine can ask"),

  DATABASE_URL: z
    .url({ protocol: /^postgres(ql)?$/, error: "must be postgres://user:password@host:port/database" })
    .optional()
    .describe("an own PostgreSQL 15 or newer; default: the embedded one"),
  DATABASE_OWNER_URL: z
    .url({ protocol: /^postgres(ql)?$/, error: "must be postgres://user:password@host:port/database" })
    .optional()
    .describe(
      "the same database as the role that owns the schema and changes it: then the role of `DATABASE_URL` gets no right but those that services need; default: one role for both",
    ),
  DATABASE_POOL: integer(2, 50).default(8).describe("connections to the database from this process"),
  NATS_URL: z
    .url({ protocol: /^nats$|^tls$/, error: "must be nats://host:port, or tls://host:port" })
    .optional()
    .describe("joins this process to a cluster; with `tls://` only over TLS; default: one process is all"),
  NATS_CA_FILE: z.string().min(1).optional().describe("who signed the certificate of NATS, in PEM; default: whom Node trusts"),
  METRICS_PORT: integer(1, 65_535).optional().describe("offers figures for Prometheus at /metrics on this port; default: none"),
  METRICS_HOST: z.string().min(1).default("127.0.0.1").describe("address of those figures; they ask nobody who they are"),
  OTLP_URL: z
    .url({ protocol: /^https?$/, error: "must be http://host:port" })
    .refine((url) => URL.parse(url)?.password === "", "must hold no password: a collector beside this process adds one")
    .optional()
    .describe("sends traces to what speaks OTLP over HTTP there, such as `http://localhost:4318`; default: nothing is traced"),
  // A player asks for a segment every few seconds, and each is as the one before: one in a hundred shows how they are, at a hundredth of the cost.
  OTLP_READS: z.coerce
    .number({ error: "must be a number from 0 to 1" })
    .min(0, "must be a number from 0 to 1")
    .max(1, "must be a number from 0 to 1")
    .default(0.01)
    .describe("the share of requests that only read which are traced; those that change something always are"),
  // A key that only lets events in; one with a password is of a kind that has not been given out for years.
  SENTRY_DSN: z
    .string()
    .regex(
      /^https?:\/\/[A-Za-z0-9]{1,100}@[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?(?:\/[\w.-]+)*\/[0-9]{1,20}$/,
      "must be https://key@host/project",
    )
    .optional()
    .describe("tells mistakes of the server to what speaks Sentry's protocol there, without words of errors or of people; default: nobody"),

  STORAGE_BACKEND: z
    .enum(["disks", "folder", "s3"])
    .default("disks")
    .describe("what keeps the chunks: disks, one copy in a folder of DATA_DIR, or a bucket of S3 (docs/operations.md)"),
  S3_BUCKET: z
    .string()
    .regex(/^[a-z0-9.-]{3,63}$/)
    .optional()
    .describe("the bucket; it has to keep versions"),
  S3_PREFIX: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,200}$/)
    .optional()
    .describe("what the names of all objects begin with; default: nothing"),
  S3_ENDPOINT: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe("http(s)://host:port of what speaks S3; default: Amazon's"),
  S3_REGION: z.string().min(1).default("us-east-1").describe("the region of the bucket"),
  S3_ACCESS_KEY_ID: z.string().min(1).optional().describe("default: what the SDK of S3 finds, e.g. the role of the machine"),
  S3_SECRET_ACCESS_KEY: z.string().min(1).optional().describe("goes with S3_ACCESS_KEY_ID"),

  DISKS: addresses.optional().describe("addresses of the disks, comma separated; default: EMBEDDED_DISKS child processes"),
  EMBEDDED_DISKS: integer(1, 12).default(3).describe("disks that `npm start` runs by itself"),
  DISK_SECRET: z
    .string()
    .min(16, "must have at least 16 characters")
    .optional()
    .describe("what callers must show to a disk; `npm start` makes its own"),
  DISK_TLS_CERT_FILE: z
    .string()
    .min(1)
    .optional()
    .describe("this process's certificate in PEM, for connections between disks and those who talk to them; both ends must show one"),
  DISK_TLS_KEY_FILE: z.string().min(1).optional().describe("that certificate's private key in PEM"),
  DISK_TLS_CA_FILE: z.string().min(1).optional().describe("who signs the certificates of disks and of those who talk to them, in PEM"),
  DISK_HOST: z.string().min(1).default("127.0.0.1").describe("address a disk listens on"),
  DISK_PORT: integer(0, 65_535).default(0).describe("port a disk listens on; 0 takes a free one"),
  DISK_DIR: z.string().min(1).optional().describe("the folder of a disk"),
  DISK_RESERVE_BYTES: integer(0, 1024 * GiB)
    .default(1 * GiB)
    .describe("a disk takes no more chunks when less than this would stay free"),
  // 10 MiB/s read 20 TB in 23 days, and take a fifteenth of what a spinning disk can read.
  SCRUB_BYTES_PER_SECOND: integer(64 * 1024, 1024 * MiB)
    .default(10 * MiB)
    .describe("what a disk reads at most to verify chunks that nobody asks for"),
  DISK_TRASH_SECONDS: integer(0, 365 * 24 * 3600)
    .default(24 * 3600)
    .describe("how long a disk keeps a deleted chunk, so that it can be brought back by hand"),

  // Longer than the slowest upload takes, and long enough for an operator to take a mistake back.
  COLLECT_GRACE_SECONDS: integer(1, 30 * 24 * 3600)
    .default(24 * 3600)
    .describe("content that nothing names is kept this long; the same in every process, and longer than any upload takes"),
  // A restart of a machine, or the change of a cable, must move no data.
  DISK_OUT_SECONDS: integer(1, 30 * 86_400)
    .default(900)
    .describe("a disk that has not answered for this long is put out of the ring, and what it had is copied again"),
  // Digests make it cheap where nothing differs; a copy that was lost without a word is missing for no longer than this.
  COMPARE_SECONDS: integer(1, 30 * 24 * 3600)
    .default(6 * 3600)
    .describe("how often what a disk holds is compared with what it should hold"),
  // Half of what one ordinary hard disk writes: the rest is for those who upload and watch.
  MOVE_BYTES_PER_SECOND: integer(MiB, 1024 * GiB)
    .default(64 * MiB)
    .describe("how fast one process moves content to new owners when the ring has changed"),

  TRASH_DAYS: integer(1, 3650).default(30).describe("days after which a deleted video is purged"),
  UPLOAD_BYTES_MAX: integer(1, UPLOAD_BYTES_MAX).default(UPLOAD_BYTES_MAX).describe("largest upload"),
  UPLOAD_IDLE_SECONDS: integer(1, 3600).default(60).describe("an upload that sends nothing for this long is ended"),
  UPLOAD_EXPIRY_HOURS: integer(1, 720).default(24).describe("an upload that gets no byte for this long is let go, with what it has"),
  // A tab of the page has a handful; a script that leaves more behind than this has lost them.
  UPLOADS_OPEN_MAX: integer(1, 10_000)
    .default(100)
    .describe("uploads of one user, or of one address, that may be unfinished at the same time"),
  // As many as can each fill a buffer while two are left over; more would only wait for one another.
  UPLOADS_AT_ONCE: integer(1, 1000)
    .default(16)
    .describe("uploads that one gateway takes in at the same time, at most WRITE_BUFFERS - 2; more are asked to come back"),
  // 144 MiB at worst: an upload alone uses three, and sixteen slow ones leave two.
  WRITE_BUFFERS: integer(2, 256).default(18).describe("chunks of 8 MiB that one process holds in memory on their way to disks"),
  SEGMENT_CACHE_BYTES: integer(0, 16 * GiB)
    .default(64 * MiB)
    .describe("memory for segments that are asked for often; what says where blobs lie takes three eighths of it beside"),

  FFMPEG_PATH: z.string().min(1).optional().describe("ffmpeg to use; default: the one on PATH, then the one from npm"),
  FFPROBE_PATH: z.string().min(1).optional().describe("ffprobe to use; default: likewise"),
  // With one, its cores stand idle where a span begins and ends: a minute of 720p took 43 s, and 26 s with two.
  TRANSCODER_SLOTS: integer(1, 64)
    .default(2)
    .describe(
      "spans that one process converts at the same time, and up to three more when somebody waits for them; each takes about 600 MB at 1080p, one that is waited for in a single rendition about 300 MB",
    ),
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
export const secrets: readonly SettingName[] = ["S3_SECRET_ACCESS_KEY", "DATABASE_URL", "DATABASE_OWNER_URL", "DISK_SECRET", "NATS_URL"];
