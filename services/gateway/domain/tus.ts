/** Words of the tus protocol 1.0.0 (tus.io/protocols/resumable-upload) that its headers are written in. */
import { failure } from "../../kernel/errors.ts";
import { uuid } from "../../kernel/schemas.ts";
import { API } from "./links.ts";

export const TUS_VERSION = "1.0.0";
export const UPLOADS_PATH = `${API}/uploads`;
/** What the body of a PATCH is said to be. */
export const OFFSET_OCTETS = "application/offset+octet-stream";

/** Names in the protocol, and those of Node's hashes. */
const ALGORITHMS: Readonly<Record<string, string>> = { sha1: "sha1", sha256: "sha256", sha512: "sha512", md5: "md5" };
export const CHECKSUM_ALGORITHMS = Object.keys(ALGORITHMS).join(",");

export interface Checksum {
  readonly algorithm: string;
  readonly digest: Buffer;
}

/** `Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=`. INVALID_REQUEST for an algorithm that is not offered, too. */
export function checksumOf(header: string | undefined): Checksum | undefined {
  if (header === undefined) return undefined;
  const [, name = "", value = ""] = /^([a-z0-9]+) ([A-Za-z0-9+/]+={0,2})$/.exec(header) ?? [];
  const algorithm = Object.hasOwn(ALGORITHMS, name) ? ALGORITHMS[name] : undefined;
  if (algorithm !== undefined) return { algorithm, digest: Buffer.from(value, "base64") };
  throw failure("INVALID_REQUEST", `Upload-Checksum is one of ${CHECKSUM_ALGORITHMS}, a space, and the checksum in Base64.`);
}

/** What `Upload-Concat` asks for. The addresses of a final upload may be whole or begin with the path. */
export type Concat = { readonly kind: "whole" | "partial" } | { readonly kind: "final"; readonly partials: readonly string[] };

export function concatOf(header: string | undefined): Concat {
  if (header === undefined) return { kind: "whole" };
  if (header === "partial") return { kind: "partial" };
  const [, addresses] = /^final;(.+)$/.exec(header) ?? [];
  if (addresses === undefined)
    throw failure("INVALID_REQUEST", 'Upload-Concat is "partial", or "final;" and the addresses of partial uploads.');
  return { kind: "final", partials: addresses.trim().split(/ +/).map(uploadAt) };
}

/** The upload behind an address that this server gave out. */
function uploadAt(address: string): string {
  const path = URL.parse(address, "http://localhost")?.pathname ?? "";
  const id = path.startsWith(`${UPLOADS_PATH}/`) ? path.slice(UPLOADS_PATH.length + 1) : "";
  if (uuid.safeParse(id).success) return id;
  throw failure("UPLOAD_NOT_FOUND", `There is no upload at ${address.slice(0, 200)}.`);
}

/** `X-HTTP-Method-Override`, for clients that can only send POST. */
export function methodOf(method: string | undefined, override: string | string[] | undefined): string {
  if (typeof override !== "string") return method ?? "";
  if (["POST", "PATCH", "DELETE", "HEAD", "OPTIONS"].includes(override)) return override;
  throw failure("INVALID_REQUEST", "X-HTTP-Method-Override is a method of the protocol.");
}
