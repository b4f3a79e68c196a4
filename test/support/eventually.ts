/** How often a condition is asked for, ms: quick for a person, cheap for a database. */
const POLL_MS = 20;

/**
 * Waits for a condition instead of a time: resolves with the first truthy value that `probe` gives. A probe that throws says "not yet".
 * After `timeoutMs` the wait fails with the last thing that was seen.
 */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  { timeoutMs = 60_000, what = "the condition" }: { timeoutMs?: number; what?: string } = {},
): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  while (Date.now() < deadline) {
    try {
      const value = await probe();
      if (value) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`${what} did not come true within ${timeoutMs} ms; last seen: ${String(last)}`);
}
