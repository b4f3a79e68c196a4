/** The times of a run, in milliseconds of its own clock. */

/** As COLLECT_GRACE_SECONDS: a few calls long, so that what waits for its end meets what goes on. */
export const GRACE_MS = 8000;
/** How long people and faults are at it. */
export const ACTIVE_MS = 10 * GRACE_MS;
