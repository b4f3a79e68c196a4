/** What the gateway remembers between requests. None of it is a truth. */
import type { Answers } from "./answers.ts";
import { routesOf } from "./dispatch.ts";
import type { Health } from "./health.ts";
import type { Identities } from "./identities.ts";
import type { Content } from "./http/reply.ts";
import type { Hub } from "./live/hub.ts";
import type { PlaybackDirectory } from "./playback.ts";
import type { ResumableUploads } from "./resumable.ts";
import type { Uploads } from "./uploads.ts";

export interface GatewayState {
  readonly answers: Answers;
  readonly playback: PlaybackDirectory;
  readonly uploads: Uploads;
  readonly resumable: ResumableUploads;
  readonly live: Hub;
  readonly health: Health;
  readonly identities: Identities;
  /** What the API says of itself. */
  readonly description: Content;
  /** The page's files by address. */
  readonly page: ReadonlyMap<string, Content>;
  /** What is remembered of a video is no longer true, or of lists alone. */
  forget(id?: string): void;
}

export const route = routesOf<GatewayState>();
