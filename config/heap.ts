/** How V8 reckons with buffers, whose bytes lie outside of its heap. */
import { setFlagsFromString } from "node:v8";

/**
 * What comes before V8 marks the heap again: three times what was alive then. It is as much as V8 grants at most; while it collects slowly, on a machine
 * that is busy, it takes a third of it or less, and so collects more the busier the machine is.
 */
const GROWING_PERCENT = 300;

/**
 * For a process that bytes flow through: its buffers count as part of the heap, whose limit grows with what is alive. Without it V8 marks the whole
 * heap each time that 64 MiB of buffers have come since the last time, most of them garbage: half of the work of a node that sends to three disks.
 */
export function countBuffersAsHeap(): void {
  setFlagsFromString("--external-memory-accounted-in-global-limit");
  setFlagsFromString(`--heap-growing-percent=${GROWING_PERCENT}`);
}
