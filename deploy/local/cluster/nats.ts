/** A NATS server as a program of this machine. It lets in only who has the password, and keeps nothing. */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { delimiter, join, resolve } from "node:path";
import { childEnvironment } from "../../../config/index.ts";
import { kept } from "../keeper.ts";
import { secretFile } from "../secret.ts";
import { supervise, type Supervised } from "../supervise.ts";

/** A server without a store ends at once. */
const STOP_MS = 5000;
/** Debian keeps servers where only root's PATH looks. */
const SYSTEM_FOLDERS = ["/usr/sbin", "/usr/local/sbin"];
const USER = "tritontube";

export interface SupervisedNats extends Supervised {
  /** With its password. */
  readonly url: string;
  /** Where that is written, for NATS_URL_FILE. */
  readonly urlFile: string;
}

interface Options {
  /** Its password and its settings lie in `nats/` below it. */
  readonly dataDir: string;
  readonly log: (message: string) => void;
}

/** Throws the command that installs it where this machine has none. */
export async function superviseNats({ dataDir, log }: Options): Promise<SupervisedNats> {
  const file = findServer();
  const folder = join(dataDir, "nats");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const password = await secretFile(join(folder, "password"));
  const settings = join(folder, "nats.conf");
  await writeFile(settings, `authorization { user: ${USER}, password: "${password}" }\n`, { mode: 0o600 });
  const server = await supervise(
    {
      name: "NATS",
      // Port -1 lets it choose; it writes the port that it took into its log.
      command: (port) => ({
        ...kept(file, ["--config", settings, "--addr", "127.0.0.1", "--port", String(port === 0 ? -1 : port)]),
        environment: {},
      }),
      says: "stderr",
      address: (line) => /Listening for client connections on (127\.0\.0\.1:[0-9]+)/.exec(line)?.[1],
      ends: "input",
      stopMs: STOP_MS,
    },
    { log },
  );
  const url = `nats://${USER}:${password}@${server.address}`;
  const urlFile = join(folder, "url");
  await writeFile(urlFile, url, { mode: 0o600 });
  return Object.assign(server, { url, urlFile });
}

function findServer(): string {
  const { PATH = "", NATS_SERVER_PATH } = childEnvironment({});
  const places = [...PATH.split(delimiter), ...SYSTEM_FOLDERS].map((folder) => join(folder, "nats-server"));
  const found = [...(NATS_SERVER_PATH ? [resolve(NATS_SERVER_PATH)] : []), ...places].find((path) => existsSync(path));
  if (found === undefined)
    throw new Error("There is no nats-server on PATH. Install it: apt-get install -y --no-install-recommends nats-server");
  return found;
}
