/** Disks as they answer, not as they are written down. */
import { DiskClients, type StorageAccess } from "../../../mixins/disks/clients.ts";
import type { DiskFacts } from "../../../mixins/disks/facts.ts";
import { failure } from "../../kernel/errors.ts";
import { reasonOf } from "../domain/health.ts";
import type { KnownDisk } from "../domain/states.ts";

/** For a disk to say how it is: an operator waits for the answer, and who does not answer in this time is suspect. */
const HEALTH_MS = 2000;

type Place = Pick<KnownDisk, "id" | "address">;

export class AskDisks {
  readonly #clients: DiskClients;

  constructor(access: StorageAccess) {
    this.#clients = new DiskClients(access);
  }

  /** Who answers at an address. DISK_UNAVAILABLE, DISK_UNAUTHENTICATED. */
  async at(address: string): Promise<DiskFacts> {
    return await this.#clients.at(address).getDisk();
  }

  /** Who and how each of them is, in their order. */
  async all(disks: readonly Place[]): Promise<readonly PromiseSettledResult<DiskFacts>[]> {
    return await Promise.allSettled(
      disks.map(async ({ address }) => await this.#clients.at(address).getDisk(AbortSignal.timeout(HEALTH_MS))),
    );
  }

  /** What it says of itself, or nothing when it does not answer at its address. */
  async one(disk: Place): Promise<DiskFacts | undefined> {
    const [asked] = await this.all([disk]);
    return asked?.status === "fulfilled" && reasonOf(disk, asked) === null ? asked.value : undefined;
  }

  /** Two disks with one UUID are one folder copied: half of what is read from them would be missing, and two of three copies could be one. */
  async refuseTwin(disk: Place): Promise<void> {
    if (await this.one(disk))
      throw failure("INVALID_REQUEST", `The disk ${disk.id} answers at ${disk.address} already; a copy of its folder is not a disk.`);
  }

  /** Only what holds nothing is removed: a disk that answers must be empty, one that does not is given up by force. */
  async refuseLoss(disk: Place, { needed, force }: { readonly needed: boolean; readonly force: boolean }): Promise<void> {
    const facts = await this.one(disk);
    if (facts && (needed || facts.chunks > 0))
      throw failure("RING_CHANGE_REFUSED", `Disk ${disk.id} holds ${facts.chunks} chunks: drain it first, and wait until nothing moves.`);
    if (!facts && needed && !force)
      throw failure("RING_CHANGE_REFUSED", `Disk ${disk.id} does not answer, and its content would count as lost: say so with "force".`);
  }

  /** Fails as DiskClient.scrubDisk does. */
  async scrub(disk: Place, command: { readonly now?: boolean; readonly paused?: boolean }): Promise<void> {
    await this.#clients.of(disk).scrubDisk(command, AbortSignal.timeout(HEALTH_MS));
  }

  close(): void {
    this.#clients.close();
  }
}
