/** Passwords, kept as a slow hash (scrypt, RFC 7914) with its cost in front, so that the cost can grow with the machines. */
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";

interface Cost {
  /** log2 of N, the memory and time. */
  readonly logN: number;
  readonly r: number;
  readonly p: number;
}

/** 32 MiB and three passes: what OWASP names beside its first choice, and two uploads' buffers of memory here. About 0.1 s of one core. */
const COST: Cost = { logN: 15, r: 8, p: 3 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;

/** "scrypt$15$8$3$salt$hash" */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(password, salt, COST);
  return ["scrypt", COST.logN, COST.r, COST.p, salt.toString("base64url"), hash.toString("base64url")].join("$");
}

/** Whether it is the password. Without a record it takes the same time and is not: nobody learns which names there are. */
export async function provesPassword(password: string, record: string | null): Promise<boolean> {
  const [, logN, r, p, salt = "", hash = ""] = record?.split("$") ?? [];
  const cost = record === null ? COST : { logN: Number(logN), r: Number(r), p: Number(p) };
  const derived = await derive(password, Buffer.from(salt, "base64url"), cost);
  const known = Buffer.from(hash, "base64url");
  return record !== null && known.length === derived.length && timingSafeEqual(known, derived);
}

function derive(password: string, salt: Uint8Array, { logN, r, p }: Cost): Promise<Buffer> {
  const N = 2 ** logN;
  return new Promise((resolve, reject) => {
    scrypt(password, salt, HASH_BYTES, { N, r, p, maxmem: 256 * N * r }, (error, derived) => (error ? reject(error) : resolve(derived)));
  });
}
