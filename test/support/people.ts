/** A gateway where people sign in: real users and limits on a real database, and the rest of test/support/catalogue.ts. */
import { randomUUID } from "node:crypto";
import { openDatabase } from "../../mixins/database/connection.ts";
import type { Database } from "../../mixins/database/sql.ts";
import { onlyPerson, type Principal } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import limitsService from "../../services/limits/limits.service.ts";
import { users, type User, type UserRole } from "../../services/users/contract.ts";
import usersService from "../../services/users/users.service.ts";
import { startGateway, type RunningGateway } from "./catalogue.ts";
import { testDatabase } from "./postgres.ts";

export const PASSWORD = "correct horse battery";

export interface Person {
  readonly user: User;
  readonly as: Principal;
  /** Of a token with all that the user may. */
  readonly token: string;
  /** `Authorization` with that token. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface GatewayWithPeople extends RunningGateway {
  readonly db: Database;
  /** Somebody with a password and a token. */
  person(role: UserRole, name?: string): Promise<Person>;
}

export async function startWithPeople(env: Record<string, string> = {}, services: readonly object[] = []): Promise<GatewayWithPeople> {
  const database = await testDatabase();
  const gateway = await startGateway({
    env: { AUTH_MODE: "token", RATE_LIMITS: "false", DATABASE_URL: database.url, ...env },
    services: [usersService, limitsService, ...services],
  });
  const { broker } = gateway;
  return {
    ...gateway,
    db: openDatabase(database.ownerUrl, { connectionsMax: 8 }),
    async person(role, name = `${role}-${randomUUID().slice(0, 8)}`) {
      const user = await call(broker, users.create, { as: onlyPerson, id: randomUUID(), name, role, password: PASSWORD });
      const as = { id: user.id, role };
      const { secret } = await call(broker, users.createToken, { as, name: "test", days: 1 });
      return { user, as, token: secret, headers: { Authorization: `Bearer ${secret}` } };
    },
    async stop() {
      await gateway.stop();
      await database.drop();
    },
  };
}
