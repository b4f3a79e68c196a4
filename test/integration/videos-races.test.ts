/** A video that is brought back and taken away for ever at the same moment: one of both happens, wholly. */
import { execute, rows } from "../../mixins/database/sql.ts";
import { onlyPerson as as } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import { videos } from "../../services/videos/contract.ts";
import { emptyTrash } from "../../services/videos/store/edits.ts";
import { refOf, startCatalogue, typeOf, type TestCatalogue } from "../support/videos.ts";

/** Enough for each order of the two to come up. */
const ROUNDS = 6;

let here: TestCatalogue;
beforeAll(async () => {
  here = await startCatalogue();
});
afterAll(() => here.stop());
beforeEach(() => here.empty());

/** How many rows each table has of a video, or of the whole of what it is made of. */
async function left(): Promise<Record<string, number>> {
  const found = await rows<{ name: string; count: number }>(
    here.db,
    ["videos", "renditions", "segments", "captions", "video_views", "jobs"]
      .map((name) => `select '${name}' as name, count(*)::integer as count from ${name}`)
      .join(" union all "),
  );
  return Object.fromEntries(found.map(({ name, count }) => [name, count]));
}
const nothing = { videos: 0, renditions: 0, segments: 0, captions: 0, video_views: 0, jobs: 0 };

/** A ready video with captions in the trash, and what it is made of. */
async function trashed(): Promise<{ id: string; whole: Record<string, number> }> {
  const id = await here.newVideo();
  await here.finish(...(await here.convert()));
  await call(here.broker, videos.putCaptions, { id, as, language: "de", ...(await here.blob(10)) });
  const whole = await left();
  await call(here.broker, videos.remove, { id, as });
  await execute(here.db, "update videos set deleted_at = now() - interval '31 days' where id = $1", [id]);
  return { id, whole };
}

it("comes back whole, or is swept from the trash whole, and never both", async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const { id, whole } = await trashed();
    const [restored, swept] = await Promise.all([typeOf(call(here.broker, videos.restore, { id, as })), emptyTrash(here.db, 30)]);
    expect([
      [undefined, 0],
      ["VIDEO_NOT_FOUND", 1],
    ]).toContainEqual([restored, swept]);
    expect(await left()).toEqual(swept === 1 ? nothing : whole);
    expect(await typeOf(here.statusOf(id))).toBe(restored);
    await here.empty();
  }
});

it("is purged once by two who purge it while others restore it, and nothing of it is left", async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const { id } = await trashed();
    const restore = () => typeOf(call(here.broker, videos.restore, { id, as }));
    const purge = () => typeOf(call(here.broker, videos.purge, { id, as }));
    const [first, one, other, last] = await Promise.all([restore(), purge(), purge(), restore()]);
    expect([
      ["VIDEO_NOT_FOUND", undefined],
      [undefined, "VIDEO_NOT_FOUND"],
    ]).toContainEqual([one, other]);
    for (const restored of [first, last]) expect([undefined, "VIDEO_NOT_FOUND"]).toContain(restored);
    expect(await left()).toEqual(nothing);
  }
});

it("takes with it what a worker publishes at that moment, and lets no worker finish it", async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const id = await here.newVideo();
    const [span] = await here.convert();
    const outcomes = await Promise.all([
      typeOf(here.publish(span, "720p", 1)),
      typeOf(call(here.broker, videos.purge, { id, as })),
      typeOf(call(here.broker, videos.finish, { job: refOf(span) })),
    ]);
    expect(outcomes[1]).toBeUndefined();
    for (const outcome of [outcomes[0], outcomes[2]]) expect([undefined, "JOB_LOST", "VIDEO_NOT_FOUND"]).toContain(outcome);
    expect(await left()).toEqual(nothing);
  }
});
