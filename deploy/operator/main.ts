/**
 * `npm run repl`: where an operator speaks to a running TritonTube. With NATS_URL it joins the cluster; without, it reaches the `npm start` whose DATA_DIR it
 * shares. On a terminal it asks for commands; otherwise it reads them from standard input, or takes one from its arguments, and ends with 1 when one failed.
 */
import { createInterface } from "node:readline";
import { openSession, type Session } from "./session.ts";

/** Runs each line; whether all of them went well. */
async function converse(session: Session, lines: AsyncIterable<string>, after: () => void): Promise<boolean> {
  let well = true;
  for await (const line of lines) {
    if (line.trim() === "exit") break;
    const { text, failed } = await session.evaluate(line, (said) => void process.stdout.write(`${said}\n`));
    if (text !== "") (failed ? process.stderr : process.stdout).write(`${text}\n`);
    well &&= !failed;
    after();
  }
  return well;
}

async function main(): Promise<boolean> {
  const said = process.argv.slice(2).join(" ");
  const asking = said === "" && process.stdin.isTTY;
  const session = await openSession();
  if (session.broker && asking) {
    // Everything that moleculer-repl knows, and our commands in it.
    session.broker.repl();
    return true;
  }
  const terminal = createInterface({ input: process.stdin, ...(asking ? { output: process.stdout, prompt: "tritontube> " } : {}) });
  if (asking) terminal.prompt();
  const well = await converse(session, said === "" ? terminal : linesOf(said), () => asking && terminal.prompt());
  terminal.close();
  await session.end();
  return well;
}

async function* linesOf(said: string): AsyncGenerator<string> {
  yield said;
}

try {
  if (!(await main())) process.exitCode = 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
