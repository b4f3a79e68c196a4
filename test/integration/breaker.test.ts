/** When a node is not asked any more for a while: after failures that are its own. */
import { ServiceBroker } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import brokerOptions from "../../moleculer.config.ts";
import { failure, type ErrorType } from "../../services/kernel/errors.ts";

/** More than the breaker looks at before it opens. */
const CALLS = 40;

/** What the last of many callers is told by an action that fails each time. */
async function lastTold(type: ErrorType): Promise<unknown> {
  const broker = new ServiceBroker({ ...brokerOptions(loadConfig({ LOG_LEVEL: "fatal" })), logger: false });
  const fails = async (): Promise<never> => await Promise.reject(failure(type, "as the test wants it"));
  broker.createService({ name: "work", actions: { fails } });
  await broker.start();
  let told: unknown;
  for (let call = 0; call < CALLS; call++) told = await broker.call("work.fails").catch((error: { type?: unknown }) => error.type);
  await broker.stop();
  return told;
}

it.each<[ErrorType, string]>([
  ["DATABASE_UNAVAILABLE", "DATABASE_UNAVAILABLE"],
  ["TOO_BUSY", "TOO_BUSY"],
  ["VIDEO_NOT_FOUND", "VIDEO_NOT_FOUND"],
  ["INTERNAL", "SERVICE_NOT_AVAILABLE"],
])("who has been told %s again and again is told %s", async (type, expected) => {
  expect(await lastTold(type)).toBe(expected);
});
