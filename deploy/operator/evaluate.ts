/** One line of an operator: finds the command, runs it, says what came of it. */
import { parseArgs } from "node:util";
import { errorType, failure, messageOf } from "../../services/kernel/errors.ts";
import type { Command, Following, Through } from "./command.ts";
import { commands } from "./commands.ts";
import { table } from "./text.ts";

export interface Evaluation {
  readonly text: string;
  readonly failed: boolean;
}

/** Who does not look on: a command that would go on telling ends at once. */
const NOBODY: Following = { say: () => {}, signal: AbortSignal.abort() };

/** Never throws: what goes wrong is said. With `--json` the text is one line of JSON. */
export async function evaluate(through: Through, line: string, following = NOBODY): Promise<Evaluation> {
  const words = line.split(/\s+/).filter((word) => word !== "");
  const json = words.includes("--json");
  try {
    if (words.length === 0) return { text: "", failed: false };
    if (words[0] === "help") return { text: help(), failed: false };
    const { data, text } = await run(through, words, following);
    return { text: json ? JSON.stringify(data) : text, failed: false };
  } catch (error) {
    const code = errorType(error) ?? "INTERNAL";
    const message = messageOf(error);
    return { text: json ? JSON.stringify({ error: { code, message } }) : `${code}: ${message}`, failed: true };
  }
}

async function run(through: Through, words: readonly string[], following: Following): ReturnType<Command["run"]> {
  const command =
    commands.find(({ name }) => name === words.slice(0, 2).join(" ")) ??
    commands.find(({ name, words: [, most] }) => name === words[0] && (most > 0 || !isMore(words[1])));
  if (!command) throw failure("INVALID_REQUEST", `There is no command "${words.slice(0, 2).join(" ")}"; "help" lists them.`);
  const { values, positionals } = given(command, words.slice(command.name.split(" ").length));
  const [least, most] = command.words;
  if (positionals.length < least || positionals.length > most) throw usage(command);
  if (values.follow && command.takes !== "--follow") throw usage(command);
  return await command.run(through, { ...values, words: positionals, weight: values.weight, following });
}

function isMore(word: string | undefined): boolean {
  return word !== undefined && !word.startsWith("--");
}

function given(command: Command, words: readonly string[]) {
  const options = {
    json: { type: "boolean", default: false },
    follow: { type: "boolean", default: false },
    force: { type: "boolean", default: false },
    weight: { type: "string" },
  } as const;
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true });
  } catch {
    throw usage(command);
  }
}

function usage({ name, takes }: Command): Error {
  return failure("INVALID_REQUEST", `Say it so: ${`${name} ${takes}`.trim()}`);
}

function help(): string {
  return table(
    ["command", "what it does"],
    commands.map(({ name, takes, about }) => [`${name} ${takes}`.trim(), about]),
  );
}
