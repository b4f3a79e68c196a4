/**
 * Mistakes of ours: what is no row of the error table, or is INTERNAL. Whoever is the last to meet one (the gateway, a worker, a disk, a launcher) tells it
 * here. Until somebody listens (config/sentry.ts) nothing comes of it.
 */
import { errorType } from "./errors.ts";

/** Where a mistake was met: words of the code and ids, never what a person said. */
export interface Circumstances {
  readonly service: string;
  /** The pattern of an address, the kind of a job, the name of an event or of a disk's method. */
  readonly doing?: string | undefined;
  readonly requestId?: string | undefined;
  readonly jobId?: string | undefined;
  /** How often the job was begun. */
  readonly attempt?: number | undefined;
}

type Listener = (error: unknown, circumstances: Circumstances) => void;

let listener: Listener | undefined;
const told = new WeakSet<object>();

/** Replaces whoever listened before; with nothing, nobody does. */
export function listenForMistakes(to?: Listener): void {
  listener = to;
}

/** Tells it once, however many hear of it, and whatever becomes of whoever listens. */
export function tellMistake(error: unknown, circumstances: Circumstances): void {
  if (listener === undefined || wasTold(error)) return;
  try {
    listener(error, circumstances);
  } catch {
    // Whoever listens does not decide how a request ends.
  }
}

/** The same where an error may be anything: what the surroundings are to blame for, and what was stopped, is no mistake. */
export function tellIfMistake(error: unknown, circumstances: Circumstances): void {
  if (isMistake(error)) tellMistake(error, circumstances);
}

function isMistake(error: unknown): boolean {
  const type = errorType(error);
  if (type !== undefined) return type === "INTERNAL";
  const { code, name, retryable } = (error ?? {}) as { code?: unknown; name?: unknown; retryable?: unknown };
  return retryable !== true && name !== "AbortError" && !(typeof code === "string" && /^E[A-Z]+$/.test(code));
}

function wasTold(error: unknown): boolean {
  if (typeof error !== "object" || error === null) return false;
  const before = told.has(error);
  told.add(error);
  return before;
}
