/** What is wrong with a value, for whoever sent it: the words of a schema's refusals that it does not bring itself. */
import type { z } from "zod";

type Issue = z.core.$ZodRawIssue;

const KINDS: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  null: "null",
};
/** What a size counts; of numbers it is the value itself. */
const COUNTED: Readonly<Record<string, string>> = { string: " characters", array: " entries" };

/** Follows the name of the field: "limit must be …". Schemas say themselves what else they ask for. */
export function refusalWords(issue: Issue): string {
  if (issue.input === undefined) return "is missing";
  if (issue.code === "invalid_type") return typeWords(issue);
  if (issue.code === "invalid_value") return `must be ${chosenFrom(issue.values.filter((value) => value !== ""))}`;
  if (issue.code === "too_small") return smallest(issue);
  if (issue.code === "too_big") return largest(issue);
  if (issue.code === "invalid_format") return `must be written as ${issue.format === "datetime" ? "2026-11-23T06:00:00Z" : issue.format}`;
  return "has none of the forms that it may have";
}

function typeWords({ expected, input }: z.core.$ZodRawIssue<z.core.$ZodIssueInvalidType>): string {
  // As a parameter that stands twice in an address.
  if (Array.isArray(input) && expected === "string") return "must be given once";
  return `must be ${KINDS[expected] ?? expected}`;
}

function chosenFrom(values: readonly unknown[]): string {
  return values.length > 1 ? `one of ${values.join(", ")}` : values.join("") || "empty";
}

function largest({ origin, maximum }: z.core.$ZodRawIssue<z.core.$ZodIssueTooBig>): string {
  return `must ${origin in COUNTED ? "have" : "be"} at most ${maximum}${COUNTED[origin] ?? ""}`;
}

function smallest({ origin, minimum, inclusive }: z.core.$ZodRawIssue<z.core.$ZodIssueTooSmall>): string {
  if (origin in COUNTED && Number(minimum) === 1) return "must not be empty";
  if (inclusive === false) return `must be more than ${minimum}`;
  return `must ${origin in COUNTED ? "have" : "be"} at least ${minimum}${COUNTED[origin] ?? ""}`;
}
