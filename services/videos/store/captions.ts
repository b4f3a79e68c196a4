/** Captions of a video, one blob a language. */
import { assertHeld } from "../../../mixins/database/jobs.ts";
import { execute, one, transaction, type Database } from "../../../mixins/database/sql.ts";
import { failure } from "../../kernel/errors.ts";
import type { Principal } from "../../kernel/principal.ts";
import type { JobRef } from "../../kernel/schemas.ts";
import type { VideoBlob } from "../contract.ts";
import { notFound, type Change } from "./catalogue.ts";
import { assertUnedited, lockPresent } from "./edits.ts";
import { withVideo } from "./work.ts";

interface Asked {
  readonly id: string;
  readonly as: Principal;
  readonly language: string;
  /** Only while the present edition is among them. */
  readonly editions?: readonly number[] | undefined;
}

/** Every language that somebody watches in, and far from what a manifest can hold. */
const LANGUAGES_MAX = 100;

/** VIDEO_NOT_FOUND, CAPTIONS_NOT_FOUND. */
export async function captionsOf(db: Database, id: string, language: string): Promise<VideoBlob> {
  const found = await one<Omit<VideoBlob, "blob"> & { blob: string | null }>(
    db,
    `select v.id, v.owner_id as owner, v.visibility, encode(c.blob, 'hex') as blob, c.size
     from videos v left join captions c on c.video_id = v.id and c.language = $2 where v.id = $1 and v.deleted_at is null`,
    [id, language],
  );
  if (!found) throw notFound(id);
  if (found.blob === null) throw captionsNotFound(id, language);
  return { ...found, blob: found.blob };
}

/** In the place of those of that language, if there are any. VIDEO_CHANGED. */
export async function putCaptions(
  db: Database,
  { id, as, language, editions, blob, size }: Asked & { blob: string; size: number },
): Promise<Change> {
  return await transaction(db, async (tx) => {
    const video = await lockPresent(tx, id, as);
    assertUnedited(video, editions);
    const others = await one<{ count: number }>(
      tx,
      "select count(*)::integer as count from captions where video_id = $1 and language <> $2",
      [id, language],
    );
    if ((others?.count ?? 0) >= LANGUAGES_MAX) throw failure("INVALID_REQUEST", `A video may have captions in ${LANGUAGES_MAX} languages.`);
    await execute(
      tx,
      `insert into captions (video_id, language, blob, size) values ($1, $2, decode($3, 'hex'), $4)
       on conflict (video_id, language) do update set blob = excluded.blob, size = excluded.size, of_source = false, updated_at = now()`,
      [id, language, blob, size],
    );
    await execute(tx, "update videos set edition = edition + 1, updated_at = now() where id = $1", [id]);
    return { id, status: video.status };
  });
}

interface TakenCaptions {
  readonly language: string;
  readonly blob: string;
  readonly size: number;
}

/** They came with the source, and may be made again. Those of a person stay. */
export async function publishCaptions(db: Database, job: JobRef, { language, blob, size }: TakenCaptions): Promise<Change> {
  return await withVideo(db, job, async (tx, { id, status }) => {
    await assertHeld(tx, job);
    await execute(
      tx,
      `insert into captions (video_id, language, blob, size, of_source) values ($1, $2, decode($3, 'hex'), $4, true)
       on conflict (video_id, language) do update set blob = excluded.blob, size = excluded.size, updated_at = now() where captions.of_source`,
      [id, language, blob, size],
    );
    await execute(tx, "update videos set updated_at = now() where id = $1", [id]);
    return { id, status };
  });
}

export async function removeCaptions(db: Database, { id, as, language, editions }: Asked): Promise<Change> {
  return await transaction(db, async (tx) => {
    const video = await lockPresent(tx, id, as);
    assertUnedited(video, editions);
    const gone = await execute(tx, "delete from captions where video_id = $1 and language = $2", [id, language]);
    if (gone === 0) throw captionsNotFound(id, language);
    await execute(tx, "update videos set edition = edition + 1, updated_at = now() where id = $1", [id]);
    return { id, status: video.status };
  });
}

function captionsNotFound(id: string, language: string): Error {
  return failure("CAPTIONS_NOT_FOUND", `The video ${id} has no captions in ${language}.`);
}
