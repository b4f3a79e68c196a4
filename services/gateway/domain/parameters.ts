/** Parameters of addresses and queries, as schemas. What they are in a URL is text; what they mean is in their metadata. */
import { z } from "zod";
import { language, renditionName, uuid } from "../../kernel/schemas.ts";

export const nothing = z.strictObject({});
export const byId = z.strictObject({ id: uuid });

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

export const captions = byId.extend({ language });
export const stream = byId.extend({ revision: whole(1, 999_999_999), rendition: renditionName });
export const segment = stream.extend({ number: whole(1, 999_999_999) });

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
