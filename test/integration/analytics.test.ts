/** Who watches: what players tell is added up by the catalogue, and told to whom it is for. */
import { randomBytes, randomUUID } from "node:crypto";
import { execute, one } from "../../mixins/database/sql.ts";
import { onlyPerson, type Principal } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import { videos, type Statistics, type ViewingEvent } from "../../services/videos/contract.ts";
import { forgetOldViewings, VIEWINGS_PER_VIEWER } from "../../services/videos/store/viewings.ts";
import { keepPlayable } from "../support/catalogue.ts";
import { eventually } from "../support/eventually.ts";
import { ask } from "../support/http.ts";
import { startWithPeople, type GatewayWithPeople, type Person } from "../support/people.ts";
import { startCatalogue, typeOf, type TestCatalogue } from "../support/videos.ts";

const HOUR_MS = 3_600_000;
/** Of the plan that test/support/videos.ts makes. */
const DURATION_S = 8.4;
const someone = (): string => randomBytes(16).toString("hex");
const beat = (at: number, ...watched: [number, number][]): ViewingEvent => ({ type: "beat", at: new Date(at).toISOString(), watched });

const lately = () => ({
  from: new Date(Date.now() - 2 * HOUR_MS).toISOString(),
  to: new Date(Date.now() + HOUR_MS).toISOString(),
  interval: "hour" as const,
});
const parameter = (text: string): string => `?CMCD=${encodeURIComponent(text)}`;

describe("the catalogue", () => {
  let here: TestCatalogue;
  beforeAll(async () => {
    here = await startCatalogue();
  });
  afterAll(() => here.stop());

  async function playable(about: object = {}): Promise<string> {
    const id = await here.newVideo(about);
    await execute(here.db, "update videos set duration_s = $2 where id = $1", [id, DURATION_S]);
    return id;
  }

  const tell = async (id: string, about: { session?: string; viewer?: string; as?: Principal }, ...events: ViewingEvent[]): Promise<null> =>
    await call(here.broker, videos.watched, { as: onlyPerson, id, session: randomUUID(), viewer: someone(), ...about, events });
  const analytics = async (id: string, as: Principal = onlyPerson): Promise<Statistics> =>
    await call(here.broker, videos.analytics, { id, as, ...lately() });

  it("adds up sessions: time, viewers, starts, waits, errors, and who has stayed until when", async () => {
    const id = await playable();
    const [viewer, now] = [someone(), Date.now()];
    await tell(id, { viewer }, { type: "start", at: new Date(now).toISOString(), seconds: 1 }, beat(now + 1, [0, DURATION_S]));
    await tell(id, { viewer }, { type: "start", at: new Date(now).toISOString(), seconds: 3 }, beat(now + 1, [0, DURATION_S / 2]));
    await tell(id, {}, beat(now, [0, 2.1]), { type: "rebuffer", at: new Date(now + 1).toISOString(), seconds: 4.9 });
    await tell(id, {}, { type: "error", at: new Date(now).toISOString() });
    const found = await analytics(id);
    expect(found).toMatchObject({ viewings: 4, viewers: 3, startupSeconds: 2, errors: 1, views: 0 });
    expect(found.watchSeconds).toBeCloseTo(14.7);
    expect(found.averageViewSeconds).toBeCloseTo(14.7 / 4);
    expect(found.rebufferRatio).toBeCloseTo(4.9 / 19.6);
    expect([found.retention.length, found.retention[0], found.retention[30], found.retention[99]]).toEqual([100, 0.75, 0.5, 0.25]);
    const busy = found.series.filter(({ viewers }) => viewers > 0);
    expect(found.series.length).toBeGreaterThanOrEqual(3);
    expect(busy.map(({ viewers }) => viewers)).toEqual([3]);
  });

  it("counts a report once that comes many times at once", async () => {
    const [id, session, now] = [await playable(), randomUUID(), Date.now()];
    await Promise.all(Array.from({ length: 8 }, async () => await tell(id, { session }, beat(now, [0, 4]))));
    expect(await analytics(id)).toMatchObject({ viewings: 1, watchSeconds: 4 });
  });

  it("is not filled by somebody who makes up one after the other", async () => {
    const [id, viewer] = [await playable(), someone()];
    const made = `insert into viewings (video_id, session, viewer) select $1, gen_random_uuid(), decode($2, 'hex') from generate_series(1, $3)`;
    await execute(here.db, made, [id, viewer, VIEWINGS_PER_VIEWER - 1]);
    for (const session of [randomUUID(), randomUUID()]) await tell(id, { session, viewer }, beat(1, [0, 1]));
    await tell(id, {}, beat(1, [0, 1]));
    expect(await analytics(id)).toMatchObject({ viewings: VIEWINGS_PER_VIEWER + 1, viewers: 2, watchSeconds: 2 });
  });

  it("has views by the hour from those who tell nothing, and says what is popular, the new before the old, and nothing private", async () => {
    const [fresh, old, hidden] = [await playable(), await playable(), await playable({ visibility: "private" })];
    for (const [id, times] of [
      [fresh, 3],
      [old, 5],
      [hidden, 9],
    ] as const)
      // prettier-ignore
      await call(here.broker, videos.played, { plays: Array.from({ length: times }, () => ({ id, viewer: someone() })) });
    await execute(here.db, "update view_hours set hour = hour - interval '3 days' where video_id = $1", [old]);
    expect(await analytics(fresh)).toMatchObject({ views: 3, viewings: 0, watchSeconds: 0, startupSeconds: null, retention: [] });
    expect(await analytics(old)).toMatchObject({ views: 0 });
    const popular = await call(here.broker, videos.popular, { limit: 10 });
    const ids = popular.map(({ video }) => video.id);
    expect([ids.indexOf(fresh) < ids.indexOf(old), ids.includes(old), ids.includes(hidden)]).toEqual([true, true, false]);
    expect(popular.find(({ video }) => video.id === old)).toMatchObject({ views: 5, score: expect.closeTo(5 / 8, 1) });
    // Added up once a minute; who may be shown is looked at each time.
    await call(here.broker, videos.edit, { as: onlyPerson, id: fresh, set: { visibility: "private" } });
    const later = await call(here.broker, videos.popular, { limit: 10 });
    expect(later.map(({ video }) => video.id)).toEqual(ids.filter((id) => id !== fresh));
  });

  it("tells administrators of all together", async () => {
    const id = await playable();
    const before = await call(here.broker, videos.overview, lately());
    await tell(id, {}, beat(Date.now(), [0, 5]));
    const after = await call(here.broker, videos.overview, lately());
    expect(after.watchSeconds - before.watchSeconds).toBeCloseTo(5);
    expect([after.viewings - before.viewings, after.retention]).toEqual([1, []]);
  });

  it("takes nothing of what cannot be watched, and tells nobody of what belongs to others", async () => {
    const [ann, bob] = [randomUUID(), randomUUID()].map((id): Principal => ({ id, role: "uploader" }));
    await execute(here.db, "insert into users (id, name, role) values ($1, 'ann', 'uploader') on conflict do nothing", [ann!.id]);
    const [hidden, shown] = [await playable({ as: ann!, visibility: "private" }), await playable({ as: ann! })];
    expect(await typeOf(tell(hidden, { as: bob! }, beat(1, [0, 1])))).toBe("VIDEO_NOT_FOUND");
    expect(await typeOf(tell(await here.newVideo(), {}, beat(1, [0, 1])))).toBe("VIDEO_NOT_PLAYABLE");
    expect(await typeOf(analytics(hidden, bob))).toBe("VIDEO_NOT_FOUND");
    expect(await typeOf(analytics(shown, bob))).toBe("FORBIDDEN");
    expect(await analytics(shown, ann)).toMatchObject({ viewings: 0 });
  });

  it("keeps sessions for a hundred days, and goes on without those", async () => {
    const id = await playable();
    for (const days of [0, 99, 101]) {
      const session = randomUUID();
      await tell(id, { session }, beat(1, [0, 1]));
      await execute(here.db, "update viewings set began_at = began_at - $2 * interval '1 day' where session = $1", [session, days]);
    }
    await forgetOldViewings(here.db);
    expect(await one(here.db, "select count(*)::int as left from viewings where video_id = $1", [id])).toEqual({ left: 2 });
  });
});

describe("a gateway", () => {
  let gateway: GatewayWithPeople;
  let ann: Person;
  beforeAll(async () => {
    gateway = await startWithPeople();
    ann = await gateway.person("viewer", "ann");
  });
  afterAll(() => gateway.stop());

  const reports = (id: string) => gateway.catalogue.reports.filter((report) => report.id === id);
  const post = async (id: string, body: object, headers: object = {}) =>
    await ask(gateway.url, `/api/v1/videos/${id}/events`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: JSON.stringify(body),
    });

  it("hands on what a player tells, of a viewer whose name says nothing", async () => {
    const [id, session] = [randomUUID(), randomUUID()];
    keepPlayable(gateway.catalogue, id);
    const events = [{ ...beat(Date.now(), [0, 10]), position: 10, bitrate: 2_000_000 }];
    for (const headers of [ann.headers, ann.headers, {}]) expect((await post(id, { session, events }, headers)).status).toBe(202);
    expect(reports(id)).toMatchObject([{ session, events, as: { id: ann.user.id } }, { session }, { as: { id: null } }]);
    const viewers = reports(id).map(({ viewer }) => viewer);
    expect(viewers.every((viewer) => /^[0-9a-f]{32}$/.test(viewer))).toBe(true);
    expect([viewers[1] === viewers[0], viewers[2] === viewers[0]]).toEqual([true, false]);
  });

  it("takes no report that somebody else would have to make", async () => {
    const report = { session: randomUUID(), events: [beat(1, [0, 1])] };
    for (const body of [{ ...report, viewer: someone() }, { ...report, events: [] }, { ...report, session: "mine" }, {}])
      expect((await post(randomUUID(), body)).status).toBe(400);
  });

  it("adds up what players were given that say who they are, by the query or by headers", async () => {
    const [id, session, other] = [randomUUID(), randomUUID(), randomUUID()];
    keepPlayable(gateway.catalogue, id);
    const get = async (number: number, query: string, headers: object = {}): Promise<unknown> =>
      expect(
        (await ask(gateway.url, `/api/v1/videos/${id}/streams/1/720p/${number}.m4s${query}`, { headers: { ...headers } })).status,
      ).toBe(200);
    await get(1, parameter(`br=2000,sid="${session}"`));
    await get(1, parameter(`br=2000,sid="${session}"`));
    await get(2, parameter(`br=1000,bs,sid="${session}"`));
    await get(3, "", { "CMCD-Session": `sid="${other}"` });
    await get(3, "");
    await eventually(() => reports(id).length === 2, { what: "what was told of both sessions" });
    const [first, second] = [session, other].map((name) => reports(id).find((report) => report.session === name));
    expect(first?.events).toMatchObject([{ type: "beat", watched: [[0, 8]], bitrate: 1_000_000 }, { type: "rebuffer" }]);
    expect(second?.events).toMatchObject([{ type: "beat", watched: [[8, 12]] }]);
  });

  it("asks for a period that makes sense", async () => {
    const admin = await gateway.person("admin");
    const asked = async (query: string) =>
      (await ask(gateway.url, `/api/v1/analytics/overview?${query}`, { headers: { ...admin.headers } })).status;
    const [from, to] = ["2026-01-01T00:00:00Z", "2026-12-01T00:00:00Z"];
    expect(await asked(`from=${to}&to=${from}`)).toBe(400);
    expect(await asked(`from=${from}&to=${to}&interval=hour`)).toBe(400);
    expect(await asked("from=yesterday")).toBe(400);
  });

  it("tells at its end what others were given, also when one video of them is gone", async () => {
    const ending = await startWithPeople();
    const ids = Array.from({ length: 6 }, () => randomUUID());
    for (const id of ids) {
      keepPlayable(ending.catalogue, id);
      const segment = `/api/v1/videos/${id}/streams/1/720p/1.m4s${parameter(`sid="${randomUUID()}"`)}`;
      expect((await ask(ending.url, segment)).status).toBe(200);
    }
    // What was asked for last is told first.
    ending.catalogue.videos.delete(ids.at(-1) ?? "");
    await ending.stop();
    expect(ending.catalogue.reports.map((report) => report.id).toSorted()).toEqual(ids.slice(0, -1).toSorted());
  });
});
