/** The commands as moleculer-repl takes them: for `npm start -- --repl`, and for `npm run repl` in a cluster. */
import type { BrokerOptions, ServiceBroker } from "moleculer";
import { commands } from "./commands.ts";
import { evaluate } from "./evaluate.ts";

const first = [...new Set(commands.map(({ name }) => name.split(" ")[0]!))];

const say = (text: string): void => void process.stdout.write(`${text}\n`);

export const replOptions: Pick<BrokerOptions, "replOptions"> = {
  replOptions: {
    customCommands: first.map((command) => ({
      command,
      description: commands.find(({ name }) => name.startsWith(command))?.about ?? "",
      options: [],
      // Its own parser would take an option's value for a word.
      allowUnknownOptions: true,
      async action(broker: ServiceBroker, { rawCommand }: { rawCommand: string }) {
        say((await evaluate(broker, rawCommand, { say, signal: new AbortController().signal })).text);
      },
    })),
  } as never,
};
