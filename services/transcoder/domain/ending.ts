/** What the end of a conversion means. */
import { failure, type TritonError } from "../../kernel/errors.ts";

export interface Ended {
  /** Exit code, or the signal that ended it; 0 is well. */
  readonly by: number | string;
  /** ffmpeg's last words: for operators, never for viewers. */
  readonly log: string;
}

/** Of what ffmpeg says, the end is kept: it says the same thing about every damaged frame. */
export const LOG_CHARACTERS = 4000;

/** What strerror(3) says when a limit of memory is reached. */
const NO_MEMORY = "Cannot allocate memory";

const NOTHING = {
  picture: "No picture could be read from the file. It may be damaged: upload it again, or export it anew.",
  sound: "The sound of the file could not be read. It may be damaged: upload it again, or export it without sound.",
  text: "The captions of the file could not be read.",
} as const;

/**
 * Why the work failed; undefined when it is done. `made` counts what came out. A source that is damaged in the middle ends well, with what
 * could be read. One of which nothing could be read is not tried again, but if the program was killed, it was perhaps not the source's fault.
 */
export function failureOf({ by, log }: Ended, made: number, what: keyof typeof NOTHING): TritonError | undefined {
  const extras = { data: { log } };
  if (by === "SIGXCPU") return failure("TRANSCODE_TIMEOUT", "The conversion took more processor time than any video should.", extras);
  if (made === 0 && typeof by === "number" && !log.includes(NO_MEMORY)) return failure("SOURCE_DAMAGED", NOTHING[what], extras);
  if (by === 0) return undefined;
  return failure("TRANSCODE_FAILED", `The converter ended with ${typeof by === "number" ? `code ${by}` : by}.`, extras);
}
