/**
 * `npm run storage:move -- TARGET…`: says `storage move` to a running TritonTube (session.ts) until everything is at the targets, and tells how far it is.
 * Ended at any moment it is only not told any more; said again it goes on.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Step } from "./backends.ts";
import { openSession, type Session } from "./session.ts";

/** A person sees that it goes on; the sums over the moves are cheap. */
const LOOK_MS = 1000;

async function nextStep(session: Session, targets: readonly string[]): Promise<Step> {
  const { text, failed } = await session.evaluate(["storage move", ...targets, "--json"].join(" "));
  if (!failed) return JSON.parse(text) as Step;
  const { error } = JSON.parse(text) as { error: { code: string; message: string } };
  throw new Error(`${error.code}: ${error.message}`);
}

async function main(): Promise<void> {
  const session = await openSession();
  try {
    for (let last = ""; ; await sleep(LOOK_MS)) {
      const { done, told } = await nextStep(session, process.argv.slice(2));
      if (told !== last) process.stdout.write(`${told}\n`);
      last = told;
      if (done) return;
    }
  } finally {
    await session.end();
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
