/** A server that speaks S3, over HTTP: moto, in a process of its own. It keeps everything in memory, and takes any credentials. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from "@aws-sdk/client-s3";
import { freePort } from "../../deploy/local/free-port.ts";
import { eventually } from "./eventually.ts";
import { needs } from "./neighbours.ts";

/** Python and Flask on a busy machine. */
const START_MS = 60_000;

export interface TestS3 {
  readonly access: {
    readonly endpoint: string;
    readonly region: string;
    readonly credentials: { accessKeyId: string; secretAccessKey: string };
  };
  readonly client: S3Client;
  /** Makes a bucket; it keeps versions unless told otherwise. */
  bucket(name: string, versions?: boolean): Promise<string>;
  stop(): Promise<void>;
}

export async function startS3(): Promise<TestS3> {
  const port = await freePort();
  const child = spawn(needs("moto"), ["-H", "127.0.0.1", "-p", `${port}`], { stdio: "ignore" });
  const endpoint = `http://127.0.0.1:${port}`;
  await eventually(async () => (await fetch(endpoint)).ok, { timeoutMs: START_MS, what: "moto" });
  const access = { endpoint, region: "us-east-1", credentials: { accessKeyId: "test", secretAccessKey: "test" } };
  const client = new S3Client({ ...access, forcePathStyle: true, requestChecksumCalculation: "WHEN_REQUIRED" });
  return {
    access,
    client,
    async bucket(name, versions = true) {
      await client.send(new CreateBucketCommand({ Bucket: name }));
      const VersioningConfiguration = { Status: "Enabled" } as const;
      if (versions) await client.send(new PutBucketVersioningCommand({ Bucket: name, VersioningConfiguration }));
      return name;
    },
    async stop() {
      client.destroy();
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}
