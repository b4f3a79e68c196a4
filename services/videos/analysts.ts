/** What players tell of those who watch, and what their owners and administrators learn from it. */
import { failure } from "../kernel/errors.ts";
import { mayChange } from "../kernel/principal.ts";
import type { Handlers } from "../kernel/rpc.ts";
import type { videos } from "./contract.ts";
import type { VideosService } from "./self.ts";
import { visible } from "./store/catalogue.ts";
import { recordViewing, statisticsOf } from "./store/viewings.ts";

type Asked = "watched" | "analytics" | "overview" | "popular";

export const analysts: Pick<Handlers<typeof videos, VideosService>, Asked> = {
  async watched({ as, ...report }) {
    const { id, duration } = visible(as, await this.video(report.id));
    if (duration === null || duration <= 0) throw failure("VIDEO_NOT_PLAYABLE", `Nothing of the video ${id} can be watched yet.`);
    await recordViewing(this.db, report, duration);
    return null;
  },
  async analytics({ as, id, ...period }) {
    const video = visible(as, await this.video(id));
    if (!mayChange(as, video)) throw failure("FORBIDDEN", "Only its owner may read who has watched a video.");
    return await statisticsOf(this.db, id, period);
  },
  async overview(period) {
    return await statisticsOf(this.db, null, period);
  },
  async popular({ limit }) {
    const found = await this.lists.popular();
    const known = new Map((await this.known.all(found.map(({ id }) => id))).map((video) => [video.id, video]));
    const shown = found.flatMap(({ id, score, views }) => {
      const video = known.get(id);
      // Since then it may have been made private.
      return video?.visibility === "public" && video.status !== "deleted" ? [{ video, score, views }] : [];
    });
    return shown.slice(0, limit);
  },
};
