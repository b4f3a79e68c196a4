/** Real services in real brokers, on a given database. */
import { ServiceBroker, type ServiceSchema } from "moleculer";
import { loadConfig } from "../../config/index.ts";

/** Starts one broker with these services, configured for this database. Stop it with `broker.stop()`. */
export async function startServices(url: string, ...schemas: object[]): Promise<ServiceBroker> {
  loadConfig({ DATABASE_URL: url });
  const broker = new ServiceBroker({ logger: false, skipProcessEventRegistration: true, requestTimeout: 10_000 });
  for (const schema of schemas) broker.createService(schema as ServiceSchema);
  await broker.start();
  return broker;
}
