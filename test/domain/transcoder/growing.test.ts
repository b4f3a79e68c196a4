/** Reading a source whose bytes are still on their way. */
import { once } from "node:events";
import { NotYetThere } from "../../../services/transcoder/ffmpeg/source.ts";
import { growingSource } from "../../../services/transcoder/growing.ts";

it("stops to ask for bytes as soon as nobody wants them any more", async () => {
  const asked = Promise.withResolvers<void>();
  let calls = 0;
  const caller = {
    async call<R>() {
      calls += 1;
      asked.resolve();
      return { state: "open", offset: 10, pieces: [] } as R;
    },
  };
  const body = await growingSource(caller, { upload: "upload", video: "video", size: 1000 }).read(10, 1000);
  body.resume();
  await asked.promise;
  body.destroy();
  await once(body, "close");
  expect(calls).toBe(1);
});

it.each([
  ["open", true],
  ["complete", false],
])("tells of an upload that is %s whether bytes that do not come have not been sent: %s", async (state, isLate) => {
  const caller = { call: async <R>() => (state === "open" ? { state, offset: 10, pieces: [] } : { state, offset: 1000, pieces: [] }) as R };
  const body = await growingSource(caller, { upload: "upload", video: "video", size: 1000 }, 0).read(10, 1000);
  const [error] = (await once(body.resume(), "error")) as [Error];
  expect(error).toMatchObject({ type: "SERVICE_UNAVAILABLE" });
  expect(error instanceof NotYetThere).toBe(isLate);
});
