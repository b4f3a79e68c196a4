/** What is told of a disk to an operator. */
import { messageOf } from "../../kernel/errors.ts";

interface Known {
  readonly id: string;
  readonly address: string;
  readonly zone: string;
  readonly weight: number;
}

/** What a disk answered when it was asked who it is. */
export interface Answer {
  readonly id: string;
  readonly capacityBytes: number;
  readonly freeBytes: number;
  readonly chunks: number;
}

type Health = Known & Omit<Answer, "id"> & { readonly state: "up" | "down" | "spare"; readonly reason: string | null };

/** `asked` is the answer that came from the address of the disk, or why none came. A disk is its UUID: another one at its address is no answer. */
export function healthOf(disk: Known, asked: PromiseSettledResult<Answer>, inRing: boolean): Health {
  const down = { ...disk, state: "down", capacityBytes: disk.weight, freeBytes: 0, chunks: 0 } as const;
  if (asked.status === "rejected") return { ...down, reason: messageOf(asked.reason) };
  const { id, capacityBytes, freeBytes, chunks } = asked.value;
  if (id !== disk.id) return { ...down, reason: `At ${disk.address} answers another disk, ${id}.` };
  return { ...disk, state: inRing ? "up" : "spare", capacityBytes, freeBytes, chunks, reason: null };
}
