/** The shape of what an operator can say. */
import type { ServiceBroker } from "moleculer";
import type { Caller } from "../../services/kernel/rpc.ts";

/** The broker through which an operator speaks and listens. */
export type Through = Caller & Pick<ServiceBroker, "createService" | "destroyService">;

/** Of a command that goes on telling until its operator is gone. */
export interface Following {
  say(line: string): void;
  readonly signal: AbortSignal;
}

/** What a command was given. */
export interface Given {
  readonly words: readonly string[];
  readonly force: boolean;
  readonly weight: string | undefined;
  readonly json: boolean;
  readonly following: Following;
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
  run(through: Through, given: Given): Promise<Output>;
}
