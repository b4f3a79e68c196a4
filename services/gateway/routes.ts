/** The REST interface as data: what can be asked, with what, by whom, and what is answered. */
import { analyticsRoutes } from "./analytics-routes.ts";
import type { Route } from "./dispatch.ts";
import { docsRoutes } from "./docs-routes.ts";
import { healthRoutes } from "./health-routes.ts";
import { jobRoutes } from "./job-routes.ts";
import { ownerRoutes } from "./owner-routes.ts";
import { playbackRoutes } from "./playback-routes.ts";
import { storageRoutes } from "./storage-routes.ts";
import { sessionRoutes } from "./session-routes.ts";
import type { GatewayState } from "./state.ts";
import { uploadRoutes } from "./upload-routes.ts";
import { userRoutes } from "./user-routes.ts";
import { videoRoutes } from "./video-routes.ts";

/** Everything that the API's documentation describes. */
export const apiRoutes: readonly Route<GatewayState>[] = [
  ...videoRoutes,
  ...ownerRoutes,
  ...uploadRoutes,
  ...playbackRoutes,
  ...analyticsRoutes,
  ...sessionRoutes,
  ...userRoutes,
  ...storageRoutes,
  ...jobRoutes,
  ...healthRoutes,
  ...docsRoutes,
];
