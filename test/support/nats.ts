/** A NATS server for a test, as `npm run cluster` has one: a process of its own, with a password, on a port that stays the same. */
import { superviseNats, type SupervisedNats } from "../../deploy/local/cluster/nats.ts";
import { removeFolder, temporaryFolder } from "./tritontube.ts";

export async function startNats(): Promise<SupervisedNats> {
  const dataDir = await temporaryFolder("tritontube-nats-");
  const nats = await superviseNats({ dataDir, log: () => {} });
  const stop = nats.stop.bind(nats);
  return Object.assign(nats, {
    async stop() {
      await stop();
      await removeFolder(dataDir);
    },
  });
}
