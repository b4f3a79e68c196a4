/** The shapes of identifiers, as the schemas that check them at every border. */
import { z } from "zod";

/** A video's, job owner's or disk's identifier: a UUID in lower case. Nothing else ever reaches a path, a query or a process. */
export const uuid = z.string().regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, "must be a UUID in lower case");

/** SHA-256 in lower case hexadecimal: the name of a chunk or of a blob. */
export const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256 of 64 hexadecimal digits");

/** The name of a rendition: its height ("720p") or "audio". */
export const renditionName = z.string().regex(/^(?:[1-9][0-9]{1,3}p|audio)$/, "must be a rendition such as 720p or audio");

/** What a worker shows to prove that a job is still its own: the fence grows with each claim. Both are bigint columns, so strings. */
export const jobRef = z.strictObject({ id: z.string().regex(/^[0-9]{1,19}$/), fence: z.string().regex(/^[0-9]{1,19}$/) });
export type JobRef = z.infer<typeof jobRef>;

export const LANGUAGE_MESSAGE = "must be a language such as de, pt-BR or zh-Hant";
/** A language as people choose it: a tag of BCP 47 of at most three parts ("de", "pt-BR", "zh-Hant-TW"), always written in this way. */
export const language = z.string().regex(/^[a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|[0-9]{3}))?$/, LANGUAGE_MESSAGE);
