/** Disks as they answer, not as they are written down. */
import type { DiskClients } from "../../../mixins/disks/clients.ts";
import { failure } from "../../kernel/errors.ts";
import type { RingDisk } from "../contract.ts";

/** For a disk to say how it is: an operator waits for the answer. */
export const HEALTH_MS = 2000;

/** Two disks with one UUID are one folder copied: half of what is read from them would be missing, and two of three copies could be one. */
export async function refuseTwin(clients: DiskClients, { id, address }: RingDisk): Promise<void> {
  const twin = await clients
    .at(address)
    .getDisk(AbortSignal.timeout(HEALTH_MS))
    .catch(() => undefined);
  if (twin?.id === id)
    throw failure("INVALID_REQUEST", `The disk ${id} answers at ${address} already; a copy of its folder is not a disk.`);
}
