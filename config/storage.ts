/** Where chunks are kept, and what a process shows there. */
import { type DiskAccess, diskAccess } from "./disks.ts";
import { type Config, ConfigError } from "./index.ts";

export interface S3Access {
  /** https://host, for what is not Amazon's. */
  readonly endpoint: string | undefined;
  readonly region: string;
  /** Undefined: as the SDK finds them, e.g. from the role of the machine. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined;
}

export interface StorageAccess {
  /** Undefined where no disk asks for it. */
  readonly disks: DiskAccess | undefined;
  readonly s3: S3Access;
}

/** For a process that talks to disks, or to a bucket. Throws ConfigError. */
export function storageAccess(config: Config): StorageAccess {
  const { S3_ENDPOINT: endpoint, S3_REGION: region, S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey } = config;
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined))
    throw new ConfigError(["S3_ACCESS_KEY_ID: set both S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, or neither"]);
  const credentials = accessKeyId !== undefined && secretAccessKey !== undefined ? { accessKeyId, secretAccessKey } : undefined;
  const needed = config.STORAGE_BACKEND !== "s3" || config.DISK_SECRET !== undefined;
  return { disks: needed ? diskAccess(config) : undefined, s3: { endpoint, region, credentials } };
}

/** The addresses of the disks of which the first ring is made. */
export function diskAddresses(config: Config): readonly string[] {
  return config.STORAGE_BACKEND === "s3" ? [bucketAddress(config)] : (config.DISKS ?? []);
}

/** The bucket as the address of a disk. */
function bucketAddress({ S3_BUCKET, S3_PREFIX }: Config): string {
  if (S3_BUCKET === undefined) throw new ConfigError(["S3_BUCKET: say which bucket is meant"]);
  return `s3://${S3_BUCKET}${S3_PREFIX === undefined ? "" : `/${S3_PREFIX}`}`;
}
