/** The part of the catalogue in memory that owners use: see catalogue.ts. */
import { failure } from "../../services/kernel/errors.ts";
import { mayChange, type Principal } from "../../services/kernel/principal.ts";
import type { Handlers } from "../../services/kernel/rpc.ts";
import type { Video, videos } from "../../services/videos/contract.ts";
import { find, type Catalogue } from "./memory.ts";

type Done = "edit" | "restore" | "purge" | "retry" | "source" | "recommendations" | "captions" | "putCaptions" | "removeCaptions";

export function assertUnedited({ edition }: Video, editions: readonly number[] | undefined): void {
  if (editions && !editions.includes(edition)) throw failure("VIDEO_CHANGED", "It was edited.");
}

export function ownersIn(catalogue: Catalogue): Pick<Handlers<typeof videos, unknown>, Done> {
  const own = (id: string, as: Principal): Video => {
    const video = find(catalogue.videos, id, "VIDEO_NOT_FOUND");
    if (!mayChange(as, video)) throw failure("FORBIDDEN", "It is not yours.");
    return video;
  };
  const keep = (video: Video): Video => {
    catalogue.videos.set(video.id, video);
    return video;
  };
  return {
    async edit({ id, as, set, editions }) {
      const video = own(id, as);
      assertUnedited(video, editions);
      const said = Object.fromEntries(Object.entries(set).filter(([, value]) => value !== undefined)) as Partial<Video>;
      return keep({ ...video, ...said, edition: video.edition + 1 });
    },
    async restore({ id }) {
      return keep(catalogue.videos.get(id) ?? find(catalogue.trash, id, "VIDEO_NOT_FOUND"));
    },
    async purge({ id, as, editions }) {
      if (!catalogue.trash.delete(id)) assertUnedited(own(id, as), editions);
      catalogue.videos.delete(id);
      return null;
    },
    async retry({ id, as }) {
      const video = own(id, as);
      if (video.status !== "failed") throw failure("VIDEO_NOT_FAILED", "It has not failed.");
      return keep({ ...video, status: "queued", error: null });
    },
    async source({ id, as }) {
      const { owner, visibility } = own(id, as);
      const { blob, filename } = find(catalogue.sources, id, "VIDEO_NOT_FOUND");
      return { id, owner, visibility, blob, size: find(catalogue.blobs, blob, "BLOB_NOT_FOUND").length, filename };
    },
    async recommendations({ id, limit }) {
      find(catalogue.videos, id, "VIDEO_NOT_FOUND");
      const others = [...catalogue.videos.values()].filter((video) => video.id !== id).slice(0, limit);
      return others.map((video) => ({ video, reason: { kind: "new" } }));
    },
    async captions({ id, language }) {
      const { owner, visibility } = find(catalogue.videos, id, "VIDEO_NOT_FOUND");
      return { id, owner, visibility, ...find(catalogue.captions, `${id}/${language}`, "CAPTIONS_NOT_FOUND") };
    },
    async putCaptions({ id, as, language, editions, blob, size }) {
      const video = own(id, as);
      assertUnedited(video, editions);
      catalogue.captions.set(`${id}/${language}`, { blob, size });
      keep({ ...video, captions: [...new Set([...video.captions, language])], edition: video.edition + 1 });
      const playback = catalogue.playbacks.get(id);
      if (playback) catalogue.playbacks.set(id, { ...playback, captions: [...new Set([...playback.captions, language])] });
      return null;
    },
    async removeCaptions({ id, as, language, editions }) {
      assertUnedited(own(id, as), editions);
      if (!catalogue.captions.delete(`${id}/${language}`)) throw failure("CAPTIONS_NOT_FOUND", "There are none.");
      return null;
    },
  };
}
