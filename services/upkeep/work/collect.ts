/** Deletes what nobody needs: looks at the copies, asks again whether they may go, deletes those very copies. Any number of collectors may run. */
import { errorType, messageOf } from "../../kernel/errors.ts";
import { atOnce } from "./at-once.ts";
import type { Ports, SizedChunk } from "./ports.ts";

/** Chunks that are deleted together: seconds, in which a writer of one of them has to wait. */
const BATCH = 100;
const AT_ONCE = 8;

type CollectPorts = Pick<Ports, "ring" | "collect" | "leaving" | "areLeaving" | "left" | "holds" | "erase" | "warn">;

export async function collect(ports: CollectPorts, signal: AbortSignal): Promise<void> {
  while (await ports.collect()) signal.throwIfAborted();
  const away = new Set<string>();
  let after: string | undefined;
  for (;;) {
    signal.throwIfAborted();
    const chunks = await ports.leaving(after, BATCH);
    if (chunks.length === 0) break;
    await erase(ports, chunks, away);
    after = chunks.at(-1)!.chunk;
  }
  if (away.size > 0)
    ports.warn("disks did not answer while chunks were deleted; what they still have is deleted when they are compared", {
      disks: [...away],
    });
}

interface Copy {
  readonly disk: string;
  readonly chunk: string;
}

/** `away` are disks that did not answer: they are not waited for again, and what they keep has no row any more when they are back. */
async function erase(ports: CollectPorts, chunks: readonly SizedChunk[], away: Set<string>): Promise<void> {
  const ring = await ports.ring();
  const stays = new Set<string>();
  const attempt = async <R>({ disk, chunk }: Copy, task: () => Promise<R>): Promise<R | undefined> => {
    if (away.has(disk)) return undefined;
    try {
      return await task();
    } catch (error) {
      if (isAway(error)) away.add(disk);
      else {
        stays.add(chunk);
        ports.warn("a chunk could not be deleted; trying again later", { chunk, disk, reason: messageOf(error) });
      }
      return undefined;
    }
  };
  const places = chunks.flatMap(({ chunk }) =>
    [...new Set([...ring.owners(chunk), ...ring.former(chunk)])].map((disk) => ({ disk, chunk })),
  );
  const looks = await atOnce(places, AT_ONCE, async (place) => ({
    ...place,
    version: await attempt(place, async () => await ports.holds({ ...place, epoch: ring.epoch })),
  }));
  const copies = looks.flatMap((look) =>
    look.status === "fulfilled" && look.value.version !== undefined ? [{ ...look.value, version: look.value.version }] : [],
  );
  // Between the look and now another collector may have been faster, and a writer have begun anew.
  const leaving = new Set(await ports.areLeaving(chunks.map(({ chunk }) => chunk)));
  await atOnce(
    copies.filter(({ chunk }) => leaving.has(chunk)),
    AT_ONCE,
    async (copy) => await attempt(copy, async () => await ports.erase({ ...copy, epoch: ring.epoch })),
  );
  await ports.left([...leaving].filter((chunk) => !stays.has(chunk)));
}

function isAway(error: unknown): boolean {
  const type = errorType(error);
  return type === "DISK_UNAVAILABLE" || type === "DISK_MISTAKEN" || type === "DISK_NOT_FOUND";
}
