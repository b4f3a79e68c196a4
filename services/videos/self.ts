/** What the handlers of this service may use of it. */
import type { Context } from "moleculer";
import type { WithEntity } from "../../mixins/database/entity.mixin.ts";
import type { Repeated } from "../../mixins/repeat.ts";
import type { Video } from "./contract.ts";
import type { Change } from "./store/catalogue.ts";
import type { DescribedRow } from "./store/described.ts";
import type { GatheredVideos } from "./store/gathered.ts";
import type { VideoRow } from "./store/video.model.ts";
import type { Totals } from "./totals.ts";

export interface VideosService extends WithEntity {
  gathered: GatheredVideos;
  totals: Totals;
  tidying: Repeated;
  /** The row of a video that is not deleted. VIDEO_NOT_FOUND. */
  row(ctx: Context, id: string): Promise<VideoRow>;
  /** The video, whoever asks. VIDEO_NOT_FOUND. */
  video(id: string): Promise<Video>;
  views(rows: readonly DescribedRow[]): Promise<Video[]>;
  /** Tells what a committed transaction changed. */
  announce(change: Change): Promise<null>;
}
