/** What workers tell of the videos that they work on. */
import { broadcast, type Handlers } from "../kernel/rpc.ts";
import { segmentsStored, type videos } from "./contract.ts";
import type { VideosService } from "./self.ts";
import { publishCaptions } from "./store/captions.ts";
import { reuse } from "./store/reuse.ts";
import { publishStoryboard } from "./store/storyboard.ts";
import { foresee } from "./store/foresight.ts";
import { defer } from "./store/wanted.ts";
import { applyPlan, begin, fail, finish, planAnew, publish, publishThumbnail } from "./store/work.ts";

type Told =
  | "begin"
  | "reuse"
  | "applyPlan"
  | "foresee"
  | "planAnew"
  | "publish"
  | "publishThumbnail"
  | "publishStoryboard"
  | "publishCaptions"
  | "defer"
  | "finish"
  | "fail";

export const workers: Pick<Handlers<typeof videos, VideosService>, Told> = {
  async begin({ job }) {
    return await this.announce(begin(this.db, job));
  },
  async reuse({ job, recipe }) {
    const reusing = reuse(this.db, job, recipe);
    await this.announce(reusing);
    return (await reusing) !== undefined;
  },
  async applyPlan({ job, ...plan }) {
    return await this.announce(applyPlan(this.db, job, plan));
  },
  async foresee({ job, ...foresight }) {
    return await this.announce(foresee(this.db, job, foresight));
  },
  async planAnew({ job }) {
    return await this.announce(planAnew(this.db, job));
  },
  async publish({ job, ...publication }) {
    await broadcast(this.broker, segmentsStored, { id: await publish(this.db, job, publication) });
    return null;
  },
  async publishThumbnail({ job, ...picture }) {
    await publishThumbnail(this.db, job, picture);
    return null;
  },
  async publishStoryboard({ job, ...storyboard }) {
    return await this.announce(publishStoryboard(this.db, job, storyboard));
  },
  async publishCaptions({ job, ...captions }) {
    return await this.announce(publishCaptions(this.db, job, captions));
  },
  async defer({ job, made }) {
    return await this.announce(defer(this.db, job, made));
  },
  async finish({ job }) {
    return await this.announce(finish(this.db, job));
  },
  async fail({ job, ...report }) {
    return await this.announce(fail(this.db, job, report));
  },
};
