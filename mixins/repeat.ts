/** Work that comes round again for as long as a service runs. */
import { setTimeout as sleep } from "node:timers/promises";
import { tellIfMistake } from "../services/kernel/mistakes.ts";

export interface Repeated {
  /** Resolves when the round that runs has ended; there is no further one. */
  stop(): Promise<void>;
}

/** Runs `task` now and `everyMs` after the end of each round, never twice at once. A round that throws is told to `onError`; the next one comes. */
export function repeat(everyMs: number, task: () => Promise<void>, onError: (error: unknown) => void): Repeated {
  const stopping = new AbortController();
  const failed = (error: unknown): void => {
    tellIfMistake(error, { service: "rounds" });
    onError(error);
  };
  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await task().catch(failed);
      await sleep(everyMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  };
  const running = loop();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
