/** The shape of what an operator can say. */
import type { Caller } from "../../services/kernel/rpc.ts";

/** What a command was given. */
export interface Given {
  readonly words: readonly string[];
  readonly force: boolean;
  readonly weight: string | undefined;
}

/** For programs, and for people. */
export interface Output {
  readonly data: unknown;
  readonly text: string;
}

export interface Command {
  /** "ring add": one word or two. */
  readonly name: string;
  readonly takes: string;
  readonly about: string;
  /** How many words follow the name, at least and at most. */
  readonly words: readonly [number, number];
  run(caller: Caller, given: Given): Promise<Output>;
}
