/** Which disk an operator means. */
import { failure } from "../../services/kernel/errors.ts";
import { call, type Caller } from "../../services/kernel/rpc.ts";
import { ring, type DiskHealth } from "../../services/ring/contract.ts";

/** A disk by the first digits of its id, or by its address. DISK_NOT_FOUND, INVALID_REQUEST for several. */
export async function diskOf(caller: Caller, said: string): Promise<DiskHealth> {
  const found = (await call(caller, ring.disks, {})).filter(({ id, address }) => id.startsWith(said) || address === said);
  if (found.length > 1) throw failure("INVALID_REQUEST", `${found.length} disks begin with ${said}: say more of it.`);
  if (!found[0]) throw failure("DISK_NOT_FOUND", `No disk begins with ${said} or has that address; "disks" lists them all.`);
  return found[0];
}

/** The id of a disk that may be new: then it is named by its address, and known from now on. Fails as `diskOf` and `ring.register` do. */
export async function idOf(caller: Caller, said: string): Promise<string> {
  // A disk that is known may be named by its id.
  if (/^[0-9a-f-]+$/.test(said)) return (await diskOf(caller, said)).id;
  return (await call(caller, ring.register, { address: said })).id;
}
