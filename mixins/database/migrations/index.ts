/** Every change of the schema, oldest first. The list is code: the same from sources, from a build and in tests. A released one never changes again. */
import * as main from "./0001-main.ts";
import * as plan from "./0002-plan.ts";

export interface Migration {
  /** Sorts in the order of the list. */
  readonly name: string;
  readonly up: string;
  readonly down: string;
}

export const migrations: readonly Migration[] = [main, plan];
