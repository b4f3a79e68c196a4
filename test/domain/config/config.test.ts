import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childEnvironment, ConfigError, readConfig, type Environment } from "../../../config/index.ts";
import { secrets, settings } from "../../../config/schema.ts";

const folder = mkdtempSync(join(tmpdir(), "config-"));
afterAll(() => rmSync(folder, { recursive: true }));

function secretFile(text: string): string {
  const path = join(folder, `secret-${text.length}`);
  writeFileSync(path, text);
  return path;
}

/** What the settings are refused with. */
function refusal(environment: Environment): string {
  try {
    readConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("the settings were accepted");
}

it("needs no setting at all", () => {
  expect(readConfig({})).toMatchObject({ HOST: "127.0.0.1", PORT: 3000, DATA_DIR: "./data", EMBEDDED_DISKS: 3, DATABASE_URL: undefined });
});

it("turns words into values", () => {
  const config = readConfig({ PORT: "0", ALLOW_ANONYMOUS: "true", DISKS: "10.0.0.1:7000, disk-2:7000" });
  expect(config).toMatchObject({ PORT: 0, ALLOW_ANONYMOUS: true, DISKS: ["10.0.0.1:7000", "disk-2:7000"] });
});

it("takes an empty value for none, as a compose file writes it", () => {
  expect(readConfig({ PORT: "", DATABASE_URL: "", DISK_SECRET_FILE: "" })).toEqual(readConfig({}));
});

it("ignores what is not a setting of its own", () => {
  expect(readConfig({ PATH: "/bin", npm_config_cache: "x" })).toEqual(readConfig({}));
});

it("lists every problem at once, a line each, with the value that was given", () => {
  const message = refusal({ PORT: "http", LOG_LEVEL: "loud", DISKS: "10.0.0.1", HOST: "0.0.0.0", DISK_SECRET_FILE: join(folder, "none") });
  const lines = message.split("\n");
  expect(lines[0]).toBe("The settings are not valid:");
  expect(lines.at(-1)).toBe("See the table of settings in README.md.");
  expect(lines.slice(1, -1).toSorted()).toEqual([
    `  DISKS: must be host:port (is "10.0.0.1")`,
    "  DISK_SECRET_FILE: cannot be read (ENOENT)",
    expect.stringMatching(/^ {2}HOST: 0\.0\.0\.0 is reachable by others/),
    expect.stringMatching(/^ {2}LOG_LEVEL: .*"fatal".* \(is "loud"\)$/),
    `  PORT: must be a whole number from 0 to 65535 (is "http")`,
  ]);
});

it.each([
  ["PORT", "65536"],
  ["PORT", "-1"],
  ["PORT", "80.5"],
  ["ALLOW_ANONYMOUS", "yes"],
  ["DATABASE_URL", "mysql://h/db"],
  ["NATS_URL", "http://h:4222"],
  ["DISK_SECRET", "short"],
  ["EMBEDDED_DISKS", "0"],
  ["NODE_ID", "two words"],
  ["STORAGE_BACKEND", "tape"],
  ["S3_ENDPOINT", "ftp://h"],
  ["OTLP_URL", "grpc://h:4317"],
  ["OTLP_URL", "http://me:secret@h:4318"],
  ["OTLP_READS", "2"],
])("refuses %s=%s", (name, value) => {
  expect(refusal({ [name]: value })).toContain(`  ${name}: `);
});

it("refuses S3 as the backend without a bucket", () => {
  expect(refusal({ STORAGE_BACKEND: "s3" })).toContain("  S3_BUCKET: STORAGE_BACKEND=s3 needs it");
  expect(readConfig({ STORAGE_BACKEND: "s3", S3_BUCKET: "videos" }).S3_BUCKET).toBe("videos");
});

describe("secrets", () => {
  const secret = "correct-horse-battery-staple";

  it.each(secrets)("takes %s from a file, without the newline at its end", (name) => {
    const value = name === "DISK_SECRET" ? secret : name === "NATS_URL" ? "nats://u:p@h:4222" : "postgres://u:p@h/db";
    expect(readConfig({ [`${name}_FILE`]: secretFile(`${value}\n`) })[name]).toBe(value);
  });

  it("refuses a secret that is given twice", () => {
    const message = refusal({ DISK_SECRET: secret, DISK_SECRET_FILE: secretFile(secret) });
    expect(message).toContain("DISK_SECRET: set either DISK_SECRET or DISK_SECRET_FILE, not both");
  });

  it("takes only secrets from files", () => {
    expect(readConfig({ PORT_FILE: secretFile("8080") }).PORT).toBe(3000);
  });

  it("prints none, however wrong it is", () => {
    const message = refusal({ DISK_SECRET: "hunter2", DATABASE_URL: "mysql://me:hunter2@h/db", NATS_URL: "hunter2", PORT: "x" });
    expect(message).toContain("DISK_SECRET: must have at least 16 characters");
    expect(message).toContain("DATABASE_URL: must be postgres://");
    expect(message).not.toContain("hunter2");
  });

  it("are settings that may be left out: each has a default that the launcher makes", () => {
    expect(secrets.filter((name) => !settings[name].safeParse(undefined).success)).toEqual([]);
  });
});

it("gives a child process the secrets that it is handed, and none of its parent's", () => {
  process.env["DATABASE_URL_FILE"] = "/run/secrets/database";
  process.env["DISK_SECRET_FILE"] = "/run/secrets/disk";
  const environment = childEnvironment({ DISK_SECRET: "for this child only" });
  expect(environment).toMatchObject({ DISK_SECRET: "for this child only", PATH: process.env["PATH"] });
  expect(Object.keys(environment).filter((name) => secrets.some((secret) => name === `${secret}_FILE`))).toEqual([]);
});

it("is frozen", () => {
  const config = readConfig({ DISKS: "disk-1:7000" });
  expect(() => Object.assign(config, { PORT: 1 })).toThrow(TypeError);
  expect(Object.values(config).filter((value) => typeof value === "object" && !Object.isFrozen(value))).toEqual([]);
});

describe("listening beyond loopback, where nobody has to sign in", () => {
  it.each(["0.0.0.0", "::", "192.0.2.1", "example.org", "127.0.0.1.example.org"])("is refused for %s", (HOST) => {
    expect(refusal({ HOST })).toMatch(/HOST: .* set ALLOW_ANONYMOUS=true if that is what you want/);
  });

  it.each(["127.0.0.1", "127.1.2.3", "::1", "localhost"])("does not concern %s", (HOST) => {
    expect(readConfig({ HOST }).HOST).toBe(HOST);
  });

  it("is allowed to whoever says that it is meant", () => {
    expect(readConfig({ HOST: "0.0.0.0", ALLOW_ANONYMOUS: "true" }).HOST).toBe("0.0.0.0");
  });
});
