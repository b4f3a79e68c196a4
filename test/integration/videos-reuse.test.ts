/** A source that is there already, made alike: its video is ready at once, and stands by itself. */
import { randomUUID } from "node:crypto";
import { enqueue } from "../../mixins/database/enqueue.ts";
import { execute, one, rows, transaction } from "../../mixins/database/sql.ts";
import { onlyPerson, type Principal } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import { videos } from "../../services/videos/contract.ts";
import { plan, refOf, startCatalogue, typeOf, type TestCatalogue } from "../support/videos.ts";

let catalogue: TestCatalogue;
beforeAll(async () => {
  catalogue = await startCatalogue();
});
afterAll(() => catalogue.stop());
beforeEach(() => catalogue.empty());

const ann: Principal = { id: randomUUID(), role: "uploader" };
const bob: Principal = { id: randomUUID(), role: "uploader" };

interface Source {
  readonly blob: string;
  readonly size: number;
}

async function made(
  source: Source,
  { hasPoster = true, ...rest }: { hasPoster?: boolean; as?: Principal; visibility?: "private"; title?: string } = {},
): Promise<string> {
  const id = await catalogue.newVideo({ source, ...rest });
  const [first, second, sound, picture] = await catalogue.convert();
  if (hasPoster) await call(catalogue.broker, videos.publishThumbnail, { job: refOf(picture), ...(await catalogue.blob()) });
  await catalogue.finish(first, second, sound, picture);
  return id;
}

/** Whether the inspection of a new video of the source finds it ready. */
async function reused(source: Source, recipe = plan.recipe, about: object = {}): Promise<{ id: string; ready: boolean }> {
  const id = await catalogue.newVideo({ source, ...about });
  const job = refOf(await catalogue.claim("video.inspect"));
  await call(catalogue.broker, videos.begin, { job });
  return { id, ready: await call(catalogue.broker, videos.reuse, { job, recipe }) };
}

const segmentsOf = async (id: string): Promise<unknown[]> =>
  await rows(
    catalogue.db,
    "select rendition, number, encode(blob, 'hex') as blob, start, duration from segments where video_id = $1 order by 1, 2",
    [id],
  );

it("is ready with the first inspection, and plays the same bytes", async () => {
  const source = await catalogue.blob();
  const first = await made(source, { title: "First" });
  const { id, ready } = await reused(source, plan.recipe, { title: "Second" });
  expect(ready).toBe(true);
  const video = await call(catalogue.broker, videos.get, { as: onlyPerson, id });
  expect(video).toMatchObject({ title: "Second", status: "ready", progress: 1, duration: 8.4, hasThumbnail: true, views: 0, captions: [] });
  const [one_, other] = await Promise.all([first, id].map(async (each) => await call(catalogue.broker, videos.playback, { id: each })));
  expect({ ...other, id: first }).toEqual(one_);
  expect(await segmentsOf(id)).toEqual(await segmentsOf(first));
  expect((await segmentsOf(id)).length).toBeGreaterThan(0);
  expect(catalogue.told).toContain(`${id} ready`);
});

it("stays when the one that it was taken from is purged", async () => {
  const source = await catalogue.blob();
  const first = await made(source);
  const { id } = await reused(source);
  const before = await segmentsOf(id);
  await call(catalogue.broker, videos.purge, { as: onlyPerson, id: first });
  expect(await segmentsOf(id)).toEqual(before);
  expect(await call(catalogue.broker, videos.get, { as: onlyPerson, id })).toMatchObject({ status: "ready", hasThumbnail: true });
});

it("is inspected when nothing was made alike of the same bytes", async () => {
  const source = await catalogue.blob();
  await made(source);
  expect(await reused(source, "another recipe")).toMatchObject({ ready: false });
  expect(await reused(await catalogue.blob())).toMatchObject({ ready: false });
  const unready = await catalogue.blob();
  await catalogue.newVideo({ source: unready });
  await catalogue.claim("video.inspect");
  expect(await reused(unready)).toMatchObject({ ready: false });
});

it("is not taken from one whose poster failed, which a copy would lack for ever", async () => {
  const source = await catalogue.blob();
  await made(source, { hasPoster: false });
  expect(await reused(source)).toMatchObject({ ready: false });
});

it("takes nothing from what somebody else keeps to himself", async () => {
  const source = await catalogue.blob();
  await made(source, { as: ann, visibility: "private" });
  expect(await reused(source, plan.recipe, { as: bob })).toMatchObject({ ready: false });
  const own = await reused(source, plan.recipe, { as: ann, visibility: "private" });
  expect(own.ready).toBe(true);
  expect(await typeOf(call(catalogue.broker, videos.get, { as: bob, id: own.id }))).toBe("VIDEO_NOT_FOUND");
});

it("has the captions that came with the source, and not those that somebody has brought", async () => {
  const source = await catalogue.blob();
  const id = await catalogue.newVideo({ source });
  const [first, second, sound, picture] = await catalogue.convert();
  const { blob, size } = await catalogue.blob();
  await call(catalogue.broker, videos.putCaptions, { as: onlyPerson, id, language: "en", ...(await catalogue.blob()) });
  for (const language of ["de", "en"]) await call(catalogue.broker, videos.publishCaptions, { job: refOf(picture), language, blob, size });
  await call(catalogue.broker, videos.publishThumbnail, { job: refOf(picture), ...(await catalogue.blob()) });
  expect(await call(catalogue.broker, videos.captions, { id, language: "de" })).toMatchObject({ blob });
  // What a person has brought stays.
  expect(await call(catalogue.broker, videos.captions, { id, language: "en" })).not.toMatchObject({ blob });
  await catalogue.finish(first, second, sound, picture);
  const other = await reused(source);
  expect(await call(catalogue.broker, videos.get, { as: onlyPerson, id: other.id })).toMatchObject({ status: "ready", captions: ["de"] });
});

it("is not taken from one whose captions are still to come or failed", async () => {
  const source = await catalogue.blob();
  const id = await made(source);
  await transaction(catalogue.db, async (tx) => await enqueue(tx, [{ kind: "video.captions", videoId: id, payload: {} }]));
  expect(await reused(source)).toMatchObject({ ready: false });
  const job = refOf(await catalogue.claim("video.captions"));
  const failure = { type: "TRANSCODE_FAILED", message: "no" };
  await call(catalogue.broker, videos.fail, { job, failure, final: true });
  expect(await reused(source)).toMatchObject({ ready: false });
  await execute(catalogue.db, "update jobs set state = 'done' where kind = 'video.captions'");
  expect(await reused(source)).toMatchObject({ ready: true });
});

it("gets the captions of its source anew when they are made again", async () => {
  const id = await made(await catalogue.blob());
  await transaction(catalogue.db, async (tx) => await enqueue(tx, [{ kind: "video.captions", videoId: id, payload: {} }]));
  const job = refOf(await catalogue.claim("video.captions"));
  const publish = async (): Promise<string> => {
    const captions = await catalogue.blob();
    await call(catalogue.broker, videos.publishCaptions, { job, language: "de", ...captions });
    return captions.blob;
  };
  await publish();
  const blob = await publish();
  expect(await call(catalogue.broker, videos.captions, { id, language: "de" })).toMatchObject({ blob });
});

it("gets a storyboard of its own when there was none to take", async () => {
  const source = await catalogue.blob();
  await made(source);
  const { id } = await reused(source);
  expect(await one(catalogue.db, "select 1 from jobs where video_id = $1 and kind = 'video.storyboard'", [id])).toBeDefined();
});
