/** What people do with videos that are there. */
import type { Handlers } from "../kernel/rpc.ts";
import type { videos } from "./contract.ts";
import { recommend } from "./domain/recommendations.ts";
import type { VideosService } from "./self.ts";
import { captionsOf, putCaptions, removeCaptions } from "./store/captions.ts";
import { visible } from "./store/catalogue.ts";
import { findVideos } from "./store/described.ts";
import { edit, purge, remove, restore, retry } from "./store/edits.ts";
import { sourceOf } from "./store/read.ts";
import { candidatesFor } from "./store/recommendations.ts";

type Done =
  | "edit"
  | "remove"
  | "restore"
  | "purge"
  | "retry"
  | "source"
  | "recommendations"
  | "captions"
  | "putCaptions"
  | "removeCaptions";

export const owners: Pick<Handlers<typeof videos, VideosService>, Done> = {
  async edit({ id, ...edited }) {
    await this.announce(await edit(this.db, { id, ...edited }));
    return await this.video(id);
  },
  async remove(asked) {
    return await this.announce(await remove(this.db, asked));
  },
  async restore(asked) {
    await this.announce(await restore(this.db, asked));
    return await this.video(asked.id);
  },
  async purge(asked) {
    return await this.announce(await purge(this.db, asked));
  },
  async retry(asked) {
    await this.announce(await retry(this.db, asked));
    return await this.video(asked.id);
  },
  async source({ id, as }) {
    return await sourceOf(this.db, id, as);
  },
  async recommendations({ id, as, limit }) {
    const seed = visible(as, await this.video(id));
    const chosen = recommend(seed, await candidatesFor(this.db, seed), limit);
    const found = await this.views(
      await findVideos(
        this.db,
        chosen.map((each) => each.id),
      ),
    );
    return found.flatMap((video) => chosen.filter((each) => each.id === video.id).map(({ reason }) => ({ video, reason })));
  },
  async captions({ id, language }) {
    return await captionsOf(this.db, id, language);
  },
  async putCaptions(captions) {
    return await this.announce(await putCaptions(this.db, captions));
  },
  async removeCaptions(captions) {
    return await this.announce(await removeCaptions(this.db, captions));
  },
};
