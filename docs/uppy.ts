/**
 * Uploads of a page by Uppy (npm install @uppy/core @uppy/tus; @uppy/dashboard is a face for it): what was cut off goes on where it was, also after
 * the page was loaded again. CORS_ORIGINS has to name the page's origin when that is not the server's own. A test runs this file in Chromium.
 */
import Uppy, { type Meta } from "@uppy/core";
import Tus, { type TusBody } from "@uppy/tus";

export type Uploads = Uppy<Meta, TusBody>;

/**
 * `server` is the origin of a TritonTube. `token` is asked for before each request, so that it may be another one by then; null where nobody signs
 * in. `onVideo` hears which video a file has become. Say what is known of one: `uppy.setFileMeta(id, { title, description, tags, visibility })`.
 */
export function uploadsTo(server: string, token: () => string | null, onVideo: (file: string, video: string) => void): Uploads {
  const uppy: Uploads = new Uppy<Meta, TusBody>();
  uppy.use(Tus, {
    endpoint: `${server}/api/v1/uploads`,
    onBeforeRequest(request) {
      const shown = token();
      if (shown !== null) request.setHeader("Authorization", `Bearer ${shown}`);
    },
  });
  uppy.on("upload-success", (file, { body }) => {
    const video = body?.xhr.getResponseHeader("X-Video-Id");
    if (file && video) onVideo(file.id, video);
  });
  return uppy;
}
