/**
 * SQL with bind parameters ($1, $2, …), on the pool or inside of a transaction. Whatever fails leaves as a row of the error table.
 * bigint comes back as a string, timestamptz as Date, bytea as Buffer; JSON goes in as text (`$1::jsonb`).
 */
import type { Client } from "pg";
import { QueryTypes, type Transaction } from "sequelize";
import { isTraced, StepKind, traced } from "../../services/kernel/trace.ts";
import type { Database } from "./connection.ts";
import { databaseFailure, driverFailure, isBroken } from "./failures.ts";

export type { Database } from "./connection.ts";

/** A transaction in progress: give it to every statement that belongs to it. */
export interface Tx {
  readonly db: Database;
  readonly transaction: Transaction;
}

type Scalar = string | number | boolean | Date | Uint8Array | null;
export type Bind = Scalar | readonly Scalar[];

/** Every row that the statement answers. */
export async function rows<T extends object>(on: Database | Tx, text: string, bind: readonly Bind[] = []): Promise<T[]> {
  const { db, transaction: opened } = place(on);
  return await mapped(text, async () => await db.query<T>(text, { bind: [...bind], type: QueryTypes.SELECT, transaction: opened }));
}

/** A statement that is the same each time, but for its values. */
export interface Prepared {
  /** No other statement of this process has it. */
  readonly name: string;
  readonly text: string;
}

/**
 * As `rows`, for what is asked all the time: each connection parses and plans it once, and Sequelize only lends the connection. Its plan is made for any
 * values, so it is for statements that have one good plan. Never part of a transaction.
 */
export async function prepared<T extends object>(db: Database, { name, text }: Prepared, bind: readonly Bind[]): Promise<T[]> {
  const connection = (await mapped("connection", async () => await db.connectionManager.getConnection({ type: "read" }))) as Client;
  try {
    return (await statement(text, async () => await connection.query<T>({ name, text, values: [...bind] }))).rows;
  } catch (error) {
    // The pool lends nobody a connection that was ended.
    if (isBroken(error)) connection.end().catch(() => {});
    throw driverFailure(error);
  } finally {
    db.connectionManager.releaseConnection(connection);
  }
}

/** The first row, if there is one. */
export async function one<T extends object>(on: Database | Tx, text: string, bind: readonly Bind[] = []): Promise<T | undefined> {
  return (await rows<T>(on, text, bind))[0];
}

/** How many rows the statement changed. */
export async function execute(on: Database | Tx, text: string, bind: readonly Bind[] = []): Promise<number> {
  const { db, transaction: opened } = place(on);
  return await mapped(text, async () => await db.query(text, { bind: [...bind], type: QueryTypes.BULKUPDATE, transaction: opened }));
}

/** Commits what `work` did, or nothing of it when it throws. */
export async function transaction<T>(db: Database, work: (tx: Tx) => Promise<T>): Promise<T> {
  return await mapped("transaction", async () => await db.transaction(async (opened) => await work({ db, transaction: opened })));
}

function place(on: Database | Tx): { db: Database; transaction: Transaction | null } {
  return "transaction" in on && "db" in on ? on : { db: on, transaction: null };
}

async function mapped<T>(text: string, work: () => Promise<T>): Promise<T> {
  try {
    return await statement(text, work);
  } catch (error) {
    throw databaseFailure(error);
  }
}

/** What is told of a statement beside how long it took: its text, in which values are numbers of parameters. */
function statement<T>(text: string, work: () => Promise<T>): Promise<T> {
  return isTraced() ? traced({ name: `sql ${verbOf(text)}`, kind: StepKind.CLIENT, attributes: { "db.query.text": text } }, work) : work();
}

function verbOf(text: string): string {
  return /^\s*([a-z]+)/i.exec(text)?.[1]?.toLowerCase() ?? "statement";
}
