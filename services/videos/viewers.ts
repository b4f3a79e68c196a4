/** What players need, and what is known of those who watch. */
import { announceJobs } from "../../mixins/database/database.mixin.ts";
import type { Handlers } from "../kernel/rpc.ts";
import type { videos } from "./contract.ts";
import type { VideosService } from "./self.ts";
import { notFound, visible } from "./store/catalogue.ts";
import { countPlays } from "./store/plays.ts";
import { captionLanguages, describedRenditions, segmentsFrom, thumbnailOf, workOn } from "./store/read.ts";
import { storyboardOf } from "./store/storyboard.ts";
import { playbackOf, processingOf, statusOf } from "./store/views.ts";
import { want } from "./store/wanted.ts";

type Asked = "status" | "playback" | "segments" | "want" | "thumbnail" | "storyboard" | "played";

export const viewers: Pick<Handlers<typeof videos, VideosService>, Asked> = {
  async status({ id, as }, ctx) {
    const row = visible(as, await this.row(ctx, id));
    const work = (await workOn(this.db, [{ id, status: statusOf(row) }])).get(id);
    if (!work) throw notFound(id);
    return processingOf(row, work);
  },
  async playback({ id }, ctx) {
    const row = await this.row(ctx, id);
    const [renditions, captions] = await Promise.all([describedRenditions(this.db, row), captionLanguages(this.db, id)]);
    return playbackOf(row, renditions, captions);
  },
  async segments(range) {
    return await segmentsFrom(this.db, range);
  },
  async want(segment) {
    const { segment: stored, moved } = await want(this.db, segment);
    await announceJobs(this.broker, moved);
    return stored;
  },
  async thumbnail({ id }) {
    return await thumbnailOf(this.db, id);
  },
  async storyboard({ id }) {
    return await storyboardOf(this.db, id);
  },
  async played({ plays }) {
    await countPlays(this.db, plays);
    return null;
  },
};
