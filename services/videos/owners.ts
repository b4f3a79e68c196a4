/** What people do with videos that are there. */
import type { Handlers } from "../kernel/rpc.ts";
import type { videos } from "./contract.ts";
import { recommend } from "./domain/recommendations.ts";
import type { VideosService } from "./self.ts";
import { captionsOf, putCaptions, removeCaptions } from "./store/captions.ts";
import { visible } from "./store/catalogue.ts";
import { edit, purge, remove, restore, retry, retryJob } from "./store/edits.ts";
import { sourceOf } from "./store/read.ts";
import { candidatesFor } from "./store/recommendations.ts";

type Done =
  | "edit"
  | "remove"
  | "restore"
  | "purge"
  | "retry"
  | "retryJob"
  | "source"
  | "recommendations"
  | "captions"
  | "putCaptions"
  | "removeCaptions";

export const owners: Pick<Handlers<typeof videos, VideosService>, Done> = {
  async edit({ id, ...edited }) {
    await this.announce(edit(this.db, { id, ...edited }), id);
    return await this.video(id);
  },
  async remove(asked) {
    return await this.announce(remove(this.db, asked), asked.id);
  },
  async restore(asked) {
    await this.announce(restore(this.db, asked), asked.id);
    return await this.video(asked.id);
  },
  async purge(asked) {
    return await this.announce(purge(this.db, asked), asked.id);
  },
  async retry(asked) {
    await this.announce(retry(this.db, asked), asked.id);
    return await this.video(asked.id);
  },
  async retryJob(asked) {
    return await this.announce(retryJob(this.db, asked), asked.id);
  },
  async source({ id, as }) {
    return await sourceOf(this.db, id, as);
  },
  async recommendations({ id, as, limit }) {
    const seed = visible(as, await this.video(id));
    const chosen = recommend(seed, await candidatesFor(this.db, seed), limit);
    const found = await this.known.all(chosen.map((each) => each.id));
    const present = found.filter(({ status }) => status !== "deleted");
    return present.flatMap((video) => chosen.filter((each) => each.id === video.id).map(({ reason }) => ({ video, reason })));
  },
  async captions({ id, language }) {
    return await captionsOf(this.db, id, language);
  },
  async putCaptions(captions) {
    return await this.announce(putCaptions(this.db, captions), captions.id);
  },
  async removeCaptions(captions) {
    return await this.announce(removeCaptions(this.db, captions), captions.id);
  },
};
