/** Turns what Sequelize and PostgreSQL throw into rows of the error table: their own words hold SQL and values, and never leave a service. */
import { failure } from "../../services/kernel/errors.ts";

/** SQLSTATEs that say "not now": shutting down, starting up, cancelled by a time limit, out of connections or locks, lost a deadlock. */
const passing = /^(08...|53...|57P0[1-5]|57014|25P0[34]|40001|40P01|55P03)$/;
/** No connection was to be had. */
const unreachable = /^Sequelize(Connection|Host|InvalidConnection)/;
/** A connection that broke under a statement has no SQLSTATE at all (seen at a fast stop, a crash, and inside of a transaction). */
const broken = /Connection terminated|not queryable|ECONNRESET|ECONNREFUSED|EPIPE|ETIMEDOUT|timeout expired/;
/** Values that no column can hold: NUL in a text, a number too large. */
const unstorable = /^(22003|22021|22P05)$/;

/**
 * The failure that an error of Sequelize stands for; any other error is returned as it is.
 * After DATABASE_UNAVAILABLE the outcome may be unknown: a commit may have happened.
 */
export function databaseFailure(error: unknown): Error {
  const { name, original } = error as Error & { original?: { code?: unknown } };
  if (!name.startsWith("Sequelize")) return error as Error;
  return failureOf(error as Error, sqlState(original?.code));
}

/** The failure that an error of the driver stands for. */
export function driverFailure(error: unknown): Error {
  return failureOf(error as Error, sqlState((error as { code?: unknown }).code));
}

/** Whether the connection is of no use any more: PostgreSQL did not say what is wrong. */
export function isBroken(error: unknown): boolean {
  return sqlState((error as { code?: unknown }).code) === "";
}

/** Whether a statement would have made a second one of what there is one of: somebody else was quicker. */
export function isDuplicate(error: unknown): boolean {
  return (error as { data?: { sqlState?: unknown } } | undefined)?.data?.sqlState === "23505";
}

function failureOf(error: Error, state: string): Error {
  const { name, message } = error;
  if (passing.test(state) || unreachable.test(name) || (state === "" && broken.test(message))) {
    return failure("DATABASE_UNAVAILABLE", "The database does not answer at the moment.", { cause: error });
  }
  if (unstorable.test(state)) return failure("INVALID_REQUEST", "A value cannot be stored.", { cause: error });
  return failure("INTERNAL", "A statement failed in the database.", { cause: error, data: { sqlState: state } });
}

/** "23505" and the like; "" when PostgreSQL was not asked or did not answer. Node's codes ("EPIPE") have no digit. */
function sqlState(code: unknown): string {
  return typeof code === "string" && /^(?=.*[0-9])[0-9A-Z]{5}$/.test(code) ? code : "";
}
