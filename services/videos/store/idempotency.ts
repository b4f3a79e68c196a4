/** Requests that are repeated under a key of their client (Idempotency-Key): the same video is answered, and none is made twice. */
import { execute, one, type Database, type Tx } from "../../../mixins/database/sql.ts";
import { failure } from "../../kernel/errors.ts";

/** What the API promises. */
const KEPT_HOURS = 24;

export interface RequestKey {
  readonly key: string;
  /** SHA-256 of all that the request said. */
  readonly digest: string;
}

/** The video that was made under the key; undefined when there is none. IDEMPOTENCY_KEY_REUSED when it was another request. */
export async function madeUnder(tx: Tx, owner: string, { key, digest }: RequestKey): Promise<string | undefined> {
  const known = await one<{ id: string; same: boolean }>(
    tx,
    `select video_id as id, digest = decode($3, 'hex') as same from idempotency_keys
     where owner = $1 and key = $2 and created_at > now() - ${KEPT_HOURS} * interval '1 hour'`,
    [owner, key, digest],
  );
  if (known && !known.same) throw failure("IDEMPOTENCY_KEY_REUSED", "Another request was made with this Idempotency-Key: take a new one.");
  return known?.id;
}

/** In the transaction that makes the video. REQUEST_IN_PROGRESS when another one was quicker by a moment. */
export async function keep(tx: Tx, owner: string, { key, digest }: RequestKey, video: string): Promise<void> {
  const kept = await execute(
    tx,
    `insert into idempotency_keys as k (owner, key, digest, video_id) values ($1, $2, decode($3, 'hex'), $4)
     on conflict (owner, key) do update set digest = excluded.digest, video_id = excluded.video_id, created_at = now()
     where k.created_at <= now() - ${KEPT_HOURS} * interval '1 hour'`,
    [owner, key, digest, video],
  );
  if (kept === 0) throw failure("REQUEST_IN_PROGRESS", "The same request is being answered at this moment: ask again.");
}

export async function forgetOldKeys(db: Database): Promise<void> {
  await execute(db, `delete from idempotency_keys where created_at <= now() - ${KEPT_HOURS} * interval '1 hour'`);
}
