/** Views: who watches is counted once, by gateways that tell a catalogue. */
import { randomBytes, randomUUID } from "node:crypto";
import { execute, rows } from "../../mixins/database/sql.ts";
import { onlyPerson } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import { videos, type Play } from "../../services/videos/contract.ts";
import { PLAY_OVER_MINUTES } from "../../services/videos/store/plays.ts";
import { keepPlayable } from "../support/catalogue.ts";
import { eventually } from "../support/eventually.ts";
import { ask } from "../support/http.ts";
import { startWithPeople, type GatewayWithPeople, type Person } from "../support/people.ts";
import { startCatalogue, type TestCatalogue } from "../support/videos.ts";

const someone = (): string => randomBytes(16).toString("hex");

describe("the catalogue", () => {
  let here: TestCatalogue;
  beforeAll(async () => {
    here = await startCatalogue();
  });
  afterAll(() => here.stop());

  const told = async (...plays: readonly Play[]): Promise<null> => await call(here.broker, videos.played, { plays: [...plays] });
  const views = async (id: string): Promise<number> => (await call(here.broker, videos.get, { as: onlyPerson, id })).views;

  it("counts each viewer of a video once, however many tell of it at the same time and in whatever order", async () => {
    const [a, b] = [await here.newVideo(), await here.newVideo()];
    const viewers = Array.from({ length: 20 }, someone);
    const plays = [a, b].flatMap((id) => viewers.map((viewer) => ({ id, viewer })));
    await Promise.all(Array.from({ length: 8 }, async (_, turn) => await told(...(turn % 2 === 0 ? plays : plays.toReversed()))));
    expect([await views(a), await views(b)]).toEqual([20, 20]);
  });

  it("counts again when the play is over, and not while it goes on", async () => {
    const play = { id: await here.newVideo(), viewer: someone() };
    const pass = async (minutes: number): Promise<unknown> =>
      await execute(here.db, "update plays set last_at = last_at - $2 * interval '1 minute' where video_id = $1", [play.id, minutes]);
    for (const minutes of [PLAY_OVER_MINUTES - 1, PLAY_OVER_MINUTES - 1, 0]) {
      await told(play);
      await pass(minutes);
    }
    expect(await views(play.id)).toBe(1);
    await pass(PLAY_OVER_MINUTES + 1);
    await told(play);
    expect(await views(play.id)).toBe(2);
  });

  it("counts nothing of what is in the trash or not there, and the others beside it", async () => {
    const [there, gone] = [await here.newVideo(), await here.newVideo()];
    await call(here.broker, videos.remove, { as: onlyPerson, id: gone });
    await told(...[gone, there, randomUUID()].map((id) => ({ id, viewer: someone() })));
    const back = await call(here.broker, videos.restore, { as: onlyPerson, id: gone });
    expect([await views(there), back.views]).toEqual([1, 0]);
  });

  it("counts on while videos are purged, and keeps nothing of those", async () => {
    const ids = await Promise.all(Array.from({ length: 10 }, async () => await here.newVideo()));
    const viewer = someone();
    const telling = Array.from(
      { length: 10 },
      async () => await told(...ids.map((id) => ({ id, viewer })), { id: ids[0]!, viewer: someone() }),
    );
    await Promise.all([...telling, ...ids.slice(1).map(async (id) => await call(here.broker, videos.purge, { as: onlyPerson, id }))]);
    expect(await views(ids[0]!)).toBe(11);
    expect(await rows(here.db, "select 1 from plays where video_id = any($1::uuid[])", [ids.slice(1)])).toEqual([]);
  });

  it("lists what was watched most first", async () => {
    const [some, most, none] = [await here.newVideo(), await here.newVideo(), await here.newVideo()];
    await told({ id: some, viewer: someone() }, ...Array.from({ length: 2 }, () => ({ id: most, viewer: someone() })));
    const { items } = await call(here.broker, videos.list, { as: onlyPerson, sort: "-views", limit: 100 });
    const order = items.map(({ id }) => id).filter((id) => [some, most, none].includes(id));
    expect(order).toEqual([most, some, none]);
  });
});

describe("a gateway", () => {
  let gateway: GatewayWithPeople;
  let ann: Person;
  beforeAll(async () => {
    gateway = await startWithPeople();
    ann = await gateway.person("viewer");
  });
  afterAll(() => gateway.stop());

  const told = (id: string): readonly Play[] => gateway.catalogue.plays.filter((play) => play.id === id);
  const newVideo = (): string => {
    const id = randomUUID();
    keepPlayable(gateway.catalogue, id);
    return id;
  };
  const get = async (id: string, segment: string, headers: object = {}, method = "GET"): Promise<unknown> =>
    expect((await ask(gateway.url, `/api/v1/videos/${id}/streams/1/${segment}.m4s`, { method, headers: { ...headers } })).status).toBe(200);
  const watch = async (id: string, headers: object = {}): Promise<void> => {
    for (const number of [1, 2, 3]) await get(id, `720p/${number}`, headers);
  };

  it("tells of a viewer once, by a name that says nothing", async () => {
    const [id, other] = [newVideo(), newVideo()];
    for (let turn = 0; turn < 3; turn += 1) await watch(id, ann.headers);
    await watch(id);
    await watch(other, ann.headers);
    await eventually(() => told(other).length === 1);
    const plays = [...told(id), ...told(other)];
    expect(plays).toHaveLength(3);
    expect(new Set(plays.map(({ viewer }) => viewer)).size).toBe(3);
    for (const { viewer } of plays) expect(viewer).toMatch(/^[0-9a-f]{32}$/);
  });

  it("tells nothing of who only looked, listened or asked without wanting the bytes", async () => {
    const [id, other] = [newVideo(), newVideo()];
    for (let turn = 0; turn < 9; turn += 1) await get(id, "720p/1");
    for (const number of [1, 2, 3]) {
      await get(id, `audio/${number}`);
      await get(id, `720p/${number}`, {}, "HEAD");
    }
    await watch(other);
    await eventually(() => told(other).length === 1);
    expect(told(id)).toEqual([]);
  });
});
