/** Which jobs share the slots of a transcoder. */
import { PRIORITY, type JobKind } from "../jobs/contract.ts";

/** Work that hardly needs a processor does not wait behind spans; and nothing is played before it was inspected, so that waits for nothing. */
const LIGHT_SLOTS = 2;
const CAPTIONS_SLOTS = 1;
/** The start of a new video, and what a player waits for, do not wait for the end of a span that nobody waits for. */
const URGENT_SLOTS = 1;
/** Nor does a leap wait for the start of a video, or for what its viewer would have seen had he not leapt. Each makes one rendition, in a third of the memory of all. */
const WANTED_SLOTS = 2;

export interface SlotGroup {
  readonly kinds: readonly JobKind[];
  readonly slots: number;
  readonly priorityMin?: number | undefined;
}

/** With so many slots for spans of any priority. */
export function groupsOf(slots: number): readonly SlotGroup[] {
  return [
    { kinds: ["video.inspect"], slots: LIGHT_SLOTS },
    // Apart: one may wait for bytes of a slow upload.
    { kinds: ["video.foresee"], slots: LIGHT_SLOTS },
    // Of the sound a film has many: pictures do not wait behind all of them.
    { kinds: ["video.picture", "video.storyboard", "video.audio"], slots: LIGHT_SLOTS },
    // Apart: all of a source is read for them, and nobody waits for that.
    { kinds: ["video.captions"], slots: CAPTIONS_SLOTS },
    { kinds: ["video.audio"], slots: URGENT_SLOTS, priorityMin: PRIORITY.start },
    { kinds: ["video.span"], slots },
    { kinds: ["video.span"], slots: URGENT_SLOTS, priorityMin: PRIORITY.start },
    { kinds: ["video.span"], slots: WANTED_SLOTS, priorityMin: PRIORITY.wanted },
  ];
}
