import * as fc from "fast-check";
import { isPlayable, transition, type VideoEvent, type VideoStatus } from "../../../services/videos/domain/lifecycle.ts";

const statuses: VideoStatus[] = ["uploading", "queued", "processing", "ready", "failed", "deleted"];
const events: VideoEvent[] = ["stored", "begun", "finished", "failed", "retried", "removed"];

/** Where a video gets by these events; those that cannot happen change nothing. */
function live(happenings: readonly VideoEvent[]): VideoStatus[] {
  const path: VideoStatus[] = ["uploading"];
  for (const event of happenings) {
    const next = transition(path.at(-1)!, event);
    if (next) path.push(next);
  }
  return path;
}

/** The statuses in which a video with such renditions can be watched. */
const withRenditions = (...begun: boolean[]) =>
  statuses.filter((status) =>
    isPlayable(
      status,
      begun.map((each) => ({ begun: each })),
    ),
  );

describe("the life of a video", () => {
  it("has exactly these transitions", () => {
    const lines = statuses.flatMap((status) =>
      events.map((event) => [status, event, transition(status, event)]).filter(([, , next]) => next),
    );
    expect(lines.map((line) => line.join(" "))).toEqual([
      "uploading stored queued",
      "uploading removed deleted",
      "queued begun processing",
      "queued failed failed",
      "queued removed deleted",
      "processing begun processing",
      "processing finished ready",
      "processing failed failed",
      "processing removed deleted",
      "ready removed deleted",
      "failed retried queued",
      "failed removed deleted",
    ]);
  });

  it("whatever happens, is ready only after it was processed, never leaves the trash, and goes back only from a failure", () => {
    const order: Record<VideoStatus, number> = { uploading: 0, queued: 1, processing: 2, ready: 3, failed: 3, deleted: 4 };
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...events), { maxLength: 12 }), (happenings) => {
        const path = live(happenings);
        const ranks = path.map((status) => order[status]);
        const back = path.filter((_, at) => at > 0 && ranks[at]! < ranks[at - 1]!);
        expect(back).toEqual(back.map(() => "queued"));
        expect(path.filter((status, at) => status === "queued" && !["uploading", "failed"].includes(path[at - 1]!))).toEqual([]);
        expect(path.filter((status, at) => status === "ready" && path[at - 1] !== "processing")).toEqual([]);
        expect(path.slice(0, -1)).not.toContain("deleted");
      }),
    );
  });

  it("can be watched when it is ready, and while it is uploaded or processed from when each of its renditions is begun", () => {
    expect(withRenditions()).toEqual(["ready"]);
    expect(withRenditions(true, false)).toEqual(["ready"]);
    expect(withRenditions(true, true)).toEqual(["uploading", "processing", "ready"]);
  });
});
