/** What was done, by whom, from where. Rows are only added. */
import { execute, rows, type Database } from "../../../mixins/database/sql.ts";
import type { Principal } from "../../kernel/principal.ts";
import type { AuditEntry } from "../contract.ts";

export interface NewEntry extends Pick<AuditEntry, "action" | "subject" | "outcome" | "address" | "requestId" | "details"> {
  readonly as: Principal;
}

export async function record(db: Database, { as, action, subject, outcome, address, requestId, details }: NewEntry): Promise<void> {
  await execute(
    db,
    `insert into audit (user_id, role, action, subject, outcome, address, request_id, details) values ($1, $2, $3, $4, $5, $6, $7, $8::jsonb)`,
    [as.id, as.role, action, subject, outcome, address, requestId, JSON.stringify(details)],
  );
}

export async function auditBefore(db: Database, before: string | undefined, limit: number): Promise<readonly AuditEntry[]> {
  // By the column, not by the text that it is answered as: "9" stands before "10".
  const found = await rows<Omit<AuditEntry, "at"> & { at: Date }>(
    db,
    `select id::text, at, user_id as "user", role, action, subject, outcome, address, request_id as "requestId", details from audit
     where $1::bigint is null or id < $1 order by audit.id desc limit $2`,
    [before ?? null, limit],
  );
  return found.map((entry) => ({ ...entry, at: entry.at.toISOString() }));
}
