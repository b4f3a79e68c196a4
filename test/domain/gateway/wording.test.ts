/** Refusals of values in words that follow the name of their field. */
import { z } from "zod";
import { refusalWords } from "../../../services/gateway/domain/wording.ts";

const cases: readonly (readonly [z.ZodType, unknown, string])[] = [
  [z.string(), undefined, "is missing"],
  [z.enum(["a", "b"]), undefined, "is missing"],
  [z.string(), 7, "must be a text"],
  [z.string(), ["a", "b"], "must be given once"],
  [z.literal(""), "a", "must be empty"],
  [z.int(), 1.5, "must be a whole number"],
  [z.int(), "1", "must be a number"],
  [z.boolean(), "yes", "must be true or false"],
  [z.array(z.string()), "x", "must be a list"],
  [z.strictObject({}), [], "must be an object"],
  [z.enum(["a", "b", ""]), "c", "must be one of a, b"],
  [z.literal("a"), "c", "must be a"],
  [z.string().min(1), "", "must not be empty"],
  [z.string().min(3), "ab", "must have at least 3 characters"],
  [z.string().max(3), "abcd", "must have at most 3 characters"],
  [z.array(z.int()).min(1), [], "must not be empty"],
  [z.array(z.int()).max(2), [1, 2, 3], "must have at most 2 entries"],
  [z.int().min(60), 7, "must be at least 60"],
  [z.int().max(60), 70, "must be at most 60"],
  [z.int().positive(), 0, "must be more than 0"],
  [z.iso.datetime(), "yesterday", "must be written as 2026-11-23T06:00:00Z"],
  [z.int().or(z.boolean()), "x", "has none of the forms that it may have"],
  [z.string().regex(/^a$/, "must be an a"), "b", "must be an a"],
];

it.each(cases.map(([schema, value, words]) => [words, JSON.stringify(value), schema, value] as const))(
  "%s: %s",
  (words, _, schema, value) => {
    const parsed = schema.safeParse(value, { error: refusalWords });
    expect(parsed.error?.issues.map(({ message }) => message)).toEqual([words]);
  },
);
