/** Programs that know nothing of us, and still end with us. */
import type { Command } from "./supervise.ts";

/**
 * Our process holds the other end of standard input. When that closes, whatever ended us, the program is asked to end (SIGINT).
 * The signals are for us: ctrl-C must not take a server away from services that are still finishing.
 */
const KEEPER = `
exec 3<&0
trap "" INT TERM HUP QUIT
"$@" 3<&- </dev/null & server=$!
{ cat <&3 >/dev/null; kill -INT $server 2>/dev/null; } & watch=$!
exec 3<&-
wait $server; code=$?
kill -KILL $watch 2>/dev/null
exit $code`;

/** How to start a program behind the keeper. Give it a pipe as its standard input, and a process group of its own. */
export function kept(file: string, args: readonly string[]): Pick<Command, "file" | "args"> {
  return { file: "/bin/sh", args: ["-c", KEEPER, "sh", file, ...args] };
}
