/** One pool of connections for each database and process, shared by all services in it. */
import { Sequelize } from "sequelize";

/** Shorter than a caller waits (services/kernel/rpc.ts), so that it is told why. */
const STATEMENT_MS = 5000;
const LOCK_MS = 2000;
/** A transaction holds locks: one that says nothing for this long belongs to a process that hangs. */
const IDLE_IN_TRANSACTION_MS = 10_000;
const CONNECT_MS = 3000;
/** For a free connection of the pool. */
const ACQUIRE_MS = 5000;

export type Database = Sequelize;

const pools = new Map<string, Database>();

/** The pool for `url`; the first call makes it. Connects when the first statement needs it. */
export function openDatabase(url: string, { connectionsMax }: { connectionsMax: number }): Database {
  const known = pools.get(url);
  if (known) return known;
  const made = new Sequelize(url, {
    dialect: "postgres",
    logging: false,
    pool: { max: connectionsMax, min: 0, acquire: ACQUIRE_MS, idle: 10_000, evict: 1000 },
    define: { timestamps: false },
    dialectOptions: {
      application_name: "tritontube",
      statement_timeout: STATEMENT_MS,
      lock_timeout: LOCK_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
      connectionTimeoutMillis: CONNECT_MS,
      keepAlive: true,
    },
  });
  pools.set(url, made);
  return made;
}

/** Ends the connections of this process to one database, or to all, after the statements that run. For whoever owns the process, when its services have stopped. */
export async function closeDatabase(url?: string): Promise<void> {
  const closing = [...pools].filter(([known]) => url === undefined || known === url);
  for (const [known] of closing) pools.delete(known);
  await Promise.all(closing.map(async ([, pool]) => await pool.close()));
}
