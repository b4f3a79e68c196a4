/** Parameters of addresses and queries, as schemas. What they are in a URL is text; what they mean is in their metadata. */
import { z } from "zod";
import { language, LANGUAGE_MESSAGE, renditionName, uuid } from "../../kernel/schemas.ts";

export const nothing = z.strictObject({});
export const byId = z.strictObject({ id: uuid.describe("as it was answered") });
const signature = z.string().min(1).max(200).optional().describe("of a signed address: whoever has it may watch this video for a while");
/** For what may be asked with a signed address. */
export const bySignature = z.strictObject({ signature });

/** A whole number in an address or a query, written in one way only: a segment has one address. */
export const whole = (min: number, max: number) => {
  const message = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^(?:0|[1-9][0-9]{0,8})$/, message)
    .transform(Number)
    .refine((value) => value >= min && value <= max, message)
    .meta({ integer: { minimum: min, maximum: max } });
};

/** In any case (RFC 5646, 2.1.1); from here on it is written in one way. */
const anyCase = z
  .string()
  .regex(/^[A-Za-z]{2,3}(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|[0-9]{3}))?$/, LANGUAGE_MESSAGE)
  .transform(inOneWay)
  .pipe(language)
  .describe("a tag of BCP 47, such as de, pt-BR or zh-Hant");

export const captions = byId.extend({ language: anyCase });
export const stream = byId.extend({
  revision: whole(1, 999_999_999).describe("of the renditions: it is in the manifests"),
  rendition: renditionName.describe("its height, or audio"),
});
export const segment = stream.extend({ number: whole(1, 999_999_999).describe("from 1") });

/** A length of time in seconds, with as many decimals as somebody likes to write. */
export const seconds = z
  .string()
  .regex(/^[0-9]{1,9}(?:\.[0-9]{1,6})?$/, "must be seconds, such as 90 or 12.5")
  .transform(Number)
  .meta({ number: { minimum: 0 } });

export const yesOrNo = z
  .enum(["true", "false"], { error: "must be true or false" })
  .transform((word) => word === "true")
  .meta({ boolean: true });

/** "zh-hant-tw" → "zh-Hant-TW" */
function inOneWay(tag: string): string {
  const [first = "", ...parts] = tag.toLowerCase().split("-");
  return [
    first,
    ...parts.map((part) => (part.length === 4 ? part.replace(/^./, (letter) => letter.toUpperCase()) : part.toUpperCase())),
  ].join("-");
}
