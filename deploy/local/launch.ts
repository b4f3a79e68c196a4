/** How every launcher begins and ends: whatever it has started is stopped in the reverse order, by whatever it is ended. */
import { tellMistake } from "../../services/kernel/mistakes.ts";

/** Services, then disks, then the database each have limits of their own; after this, something is stuck and is left to the pipes. */
const STOP_MS = 20_000;
/** How often the parent is looked for: a port must be free again soon after npm was killed. */
const PARENT_MS = 500;

export const say = (message: string): void => void process.stdout.write(`tritontube: ${message}\n`);

/** What was started, in order, with how to stop it: stopped in the reverse order. */
export type Stops = (() => Promise<unknown>)[];

/** Ends this process, and says why. */
export type Leave = (code: number, why: string) => Promise<void>;

/** Runs `start`, and then until a signal, the end of the parent (`--exit-with-parent`), or a mistake of ours. */
export async function launch(start: (stops: Stops, leave: Leave) => Promise<void>): Promise<void> {
  const stops: Stops = [];
  let stopping = false;
  const leave: Leave = async (code, why) => {
    if (stopping) return;
    stopping = true;
    say(why);
    await stop(stops);
    process.exit(code);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      // A second one means that the person does not want to wait.
      if (stopping) process.exit(1);
      void leave(0, `${signal}: stopping`);
    });
  }
  // npm cannot pass on a SIGKILL: without this, a killed `npm start` would leave us behind with the port.
  const parent = process.ppid;
  if (process.argv.includes("--exit-with-parent"))
    setInterval(() => void (process.ppid === parent || leave(1, "the parent process is gone: stopping")), PARENT_MS).unref();
  // A bug must not leave a process behind that half works: stop, and let the next start recover.
  const mistaken = (error: unknown): void => {
    tellMistake(error, { service: "launcher" });
    void leave(1, `stopping after a mistake of ours: ${error instanceof Error ? error.stack : String(error)}`);
  };
  process.on("uncaughtException", mistaken);
  process.on("unhandledRejection", mistaken);
  await start(stops, leave).catch(async (error: unknown) => await leave(1, error instanceof Error ? error.message : String(error)));
}

/** Ends in the reverse order of starting, so that nothing loses what it stands on. */
async function stop(stops: Stops): Promise<void> {
  const timer = setTimeout(() => {
    say(`not everything ended within ${STOP_MS / 1000} s; leaving`);
    process.exit(1);
  }, STOP_MS);
  for (const end of stops.splice(0).toReversed()) {
    await end().catch((error: unknown) => say(`while stopping: ${String(error)}`));
  }
  clearTimeout(timer);
}
