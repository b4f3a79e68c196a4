/** Nodes that meet on a NATS server with a certificate and a password, and one that is told to take nothing less. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ServiceBroker } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import { freePort } from "../../deploy/local/free-port.ts";
import brokerOptions from "../../moleculer.config.ts";
import { eventually } from "../support/eventually.ts";
import { startNats } from "../support/nats.ts";
import { describeWith, needs } from "../support/neighbours.ts";
import { removeFolder, temporaryFolder } from "../support/tritontube.ts";

describeWith(["nats-server", "openssl"], "a NATS server with TLS", () => {
  let folder: string;
  let server: ChildProcess;
  let port: number;
  const brokers: ServiceBroker[] = [];

  beforeAll(async () => {
    folder = await temporaryFolder("tritontube-nats-tls-");
    // It signs itself: for who trusts it, an authority.
    const request =
      "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=nats -addext subjectAltName=DNS:localhost";
    execFileSync(needs("openssl"), [...request.split(" "), "-keyout", "nats.key", "-out", "nats.pem"], { cwd: folder, stdio: "pipe" });
    port = await freePort();
    const settings = join(folder, "nats.conf");
    const tls = `tls { cert_file: "${join(folder, "nats.pem")}", key_file: "${join(folder, "nats.key")}" }`;
    await writeFile(settings, `${tls}\nauthorization { user: tube, password: "a password" }\n`);
    server = spawn(needs("nats-server"), ["--config", settings, "--addr", "127.0.0.1", "--port", String(port)], { stdio: "ignore" });
  });
  afterAll(async () => {
    await Promise.all(brokers.map(async (broker) => await broker.stop()));
    server.kill("SIGTERM");
    await once(server, "exit");
    await removeFolder(folder);
  });

  const url = (): string => `tls://tube:a%20password@localhost:${port}`;

  function node(id: string, settings: { NATS_URL: string; NATS_CA_FILE?: string }): ServiceBroker {
    const config = { ...loadConfig({ LOG_LEVEL: "fatal" }), ...settings, NODE_ID: id };
    const broker = new ServiceBroker(brokerOptions(config));
    brokers.push(broker);
    return broker;
  }

  it("joins nodes that trust its certificate and have its password", async () => {
    const trusted = { NATS_URL: url(), NATS_CA_FILE: join(folder, "nats.pem") };
    const [harbour, caller] = [node("harbour", trusted), node("caller", trusted)];
    harbour.createService({ name: "harbour", actions: { berth: () => "moored" } });
    await Promise.all([harbour.start(), caller.start()]);
    await caller.waitForServices(["harbour"], 60_000);
    expect(await caller.call("harbour.berth")).toBe("moored");
  });

  it.each(["does not trust its certificate", "is told tls:// of a server without TLS"])(
    "keeps out a node that %s: it waits, and says so",
    async (which) => {
      const plain = await startNats();
      const address = which.startsWith("is told") ? plain.url.replace("nats://", "tls://").replace("127.0.0.1", "localhost") : url();
      const broker = node(which.slice(0, 6), { NATS_URL: address });
      const warn = jest.spyOn(broker.logger, "warn").mockImplementation(() => {});
      let isIn = false;
      broker.start().then(
        () => (isIn = true),
        () => {},
      );
      await eventually(() => warn.mock.calls.some(([text]) => String(text).includes("waiting for it")), {
        what: "the node to say that it waits",
      });
      expect(isIn).toBe(false);
      await plain.stop();
    },
  );
});
