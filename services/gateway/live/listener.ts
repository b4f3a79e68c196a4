/** Somebody who is told of states, over whatever protocol. */
import type { Principal } from "../../kernel/principal.ts";
import type { LiveState } from "../domain/live.ts";

export interface Listener {
  readonly as: Principal;
  readonly topics: Iterable<string>;
  /** It is told no more of it. */
  remove(topic: string): void;
  has(topic: string): boolean;
  /** What it was told last. */
  before(topic: string): LiveState | undefined;
  /** Tells a state, if it is another than before. */
  tell(topic: string, state: LiveState): void;
  refuse(topic: string, error: Error & { readonly type: string }): void;
  close(why: string): void;
}
