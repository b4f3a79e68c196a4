/** Certificates on both ends of the connection between a disk and its callers. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Certificates } from "../../config/disks.ts";
import { DiskClient } from "../../mixins/disks/client.ts";
import { randomChunk, startDisk, type TestDisk } from "../support/disks.ts";
import { describeWith, needs } from "../support/neighbours.ts";

const MiB = 1024 * 1024;
const SECRET = "a secret of the tests";
const failsWith = (type: string) => expect.objectContaining({ type });

let root: string;
let disk: TestDisk;
let clients: DiskClient[];

const at = (name: string) => join(root, name);
const openssl = (...args: string[]) => execFileSync(needs("openssl"), args, { cwd: root, stdio: "pipe" });

/** Somebody who signs certificates. */
function makeAuthority(name: string): void {
  openssl(
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-days",
    "1",
    "-subj",
    `/CN=${name}`,
    "-keyout",
    `${name}.key`,
    "-out",
    `${name}.pem`,
  );
}

/** A certificate for 127.0.0.1. */
async function sign(name: string, by: string): Promise<void> {
  await writeFile(at("names"), "subjectAltName=IP:127.0.0.1");
  openssl(
    "req",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-subj",
    `/CN=${name}`,
    "-keyout",
    `${name}.key`,
    "-out",
    `${name}.csr`,
  );
  openssl(
    "x509",
    "-req",
    "-in",
    `${name}.csr`,
    "-CA",
    `${by}.pem`,
    "-CAkey",
    `${by}.key`,
    "-CAcreateserial",
    "-days",
    "1",
    "-extfile",
    "names",
    "-out",
    `${name}.pem`,
  );
}

const certificates = (name: string, ca: string): Certificates => ({
  ca: readFileSync(at(`${ca}.pem`)),
  cert: readFileSync(at(`${name}.pem`)),
  key: readFileSync(at(`${name}.key`)),
});

function connect(tls?: Certificates, secret = SECRET): DiskClient {
  const client = new DiskClient({ address: disk.address, secret, tls });
  clients.push(client);
  return client;
}

const settingsOf = (name: string) => ({
  DISK_TLS_CERT_FILE: at(`${name}.pem`),
  DISK_TLS_KEY_FILE: at(`${name}.key`),
  DISK_TLS_CA_FILE: at("ours.pem"),
});

describeWith("openssl", "a disk with certificates", () => {
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "tritontube-tls-"));
    clients = [];
    makeAuthority("ours");
    makeAuthority("theirs");
    for (const name of ["disk", "caller"]) await sign(name, "ours");
    await sign("stranger", "theirs");
    disk = await startDisk({ dir: at("folder"), secret: SECRET, settings: settingsOf("disk") });
  });
  afterAll(async () => {
    for (const client of clients) client.close();
    await disk.kill();
    await rm(root, { recursive: true, force: true });
  });

  it("takes and gives chunks, whole and in parts, of many callers at once", async () => {
    const client = connect(certificates("caller", "ours"));
    const chunks = [8 * MiB, 3 * MiB, 100_000, 1].map(randomChunk);
    await Promise.all(chunks.map((chunk) => client.putChunk({ ...chunk, epoch: 1 })));
    const reads = Array.from({ length: 5 }, () => chunks).flat();
    const read = await Promise.all(reads.map(({ hash }) => client.getChunk({ hash })));
    expect(read.every((bytes, index) => bytes.equals(reads[index]!.bytes))).toBe(true);
    const [large] = chunks;
    expect((await client.getChunk({ hash: large!.hash, offset: MiB, length: 2 * MiB })).equals(large!.bytes.subarray(MiB, 3 * MiB))).toBe(
      true,
    );
    expect(disk.log).not.toContain("small windows");
  });

  it.each([
    ["shows none", () => undefined],
    ["shows one that somebody else has signed", () => ({ ...certificates("stranger", "ours") })],
    ["does not believe who signed the disk's", () => certificates("caller", "theirs")],
  ])("is not reached by a caller who %s", async (_what, tls) => {
    await expect(connect(tls()).getDisk()).rejects.toEqual(failsWith("DISK_UNAVAILABLE"));
  });

  it("asks for the secret as well", async () => {
    const client = connect(certificates("caller", "ours"), "not the secret of this disk");
    await expect(client.getDisk()).rejects.toEqual(failsWith("DISK_UNAUTHENTICATED"));
  });

  it("does not start with half of them, or with some that are not there", async () => {
    const { DISK_TLS_CA_FILE: _left, ...half } = settingsOf("disk");
    const other = { dir: at("other"), secret: SECRET };
    await expect(startDisk({ ...other, settings: half })).rejects.toThrow("or none of them");
    await expect(startDisk({ ...other, settings: settingsOf("nobody") })).rejects.toThrow("DISK_TLS_CERT_FILE: cannot be read (ENOENT)");
  });
});
