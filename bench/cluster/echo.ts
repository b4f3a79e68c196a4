/** Answers requests on NATS with what they bring, and nothing else: as quick as it can be. Argument: the address of NATS with its password. */
import { connect } from "nats";

const { host, username, password } = new URL(process.argv[2]!);
const client = await connect({ servers: host, user: username, pass: password });
client.subscribe("bench.echo", { callback: (_error, message) => message.respond(message.data) });
await client.flush();
process.send?.("ready");
process.on("disconnect", () => process.exit(0));
