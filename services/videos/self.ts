/** What the handlers of this service may use of it. */
import type { Context } from "moleculer";
import type { WithEntity } from "../../mixins/database/entity.mixin.ts";
import type { Repeated } from "../../mixins/repeat.ts";
import type { Video } from "./contract.ts";
import type { KnownVideos } from "./known.ts";
import type { Lists } from "./lists.ts";
import type { Change } from "./store/catalogue.ts";
import type { VideoRow } from "./store/video.model.ts";

export interface VideosService extends WithEntity {
  known: KnownVideos;
  lists: Lists;
  tidying: Repeated;
  /** The row of a video that is not deleted. VIDEO_NOT_FOUND. */
  row(ctx: Context, id: string): Promise<VideoRow>;
  /** The video, whoever asks. VIDEO_NOT_FOUND. */
  video(id: string): Promise<Video>;
  /** Tells what a transaction changes, once it is committed; `id` is the video, where that is known before. Fails as it does. */
  announce(changing: Promise<Change | undefined>, id?: string): Promise<null>;
  /** A video changed; without an id, others did. */
  forget(id?: string): void;
}
