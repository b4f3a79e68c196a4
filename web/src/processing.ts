/** What is still being done to a video, before it can be watched. */
import type { Processing, Stage, Video } from "./api.ts";
import { h, icon, progressBar, setAttribute, setText } from "./dom.ts";
import { formatPercent, formatTimeLeft } from "./format.ts";

const STAGE_NAMES: Readonly<Record<Stage["name"], string>> = {
  inspect: "Inspection",
  video: "Picture",
  audio: "Sound",
  picture: "Thumbnail",
};

const STATE_WORDS: Readonly<Record<Stage["state"], string>> = {
  waiting: "waiting",
  running: "in progress",
  done: "done",
  failed: "failed",
  cancelled: "not done",
};

/** Fills the place where the player will be. */
export class ProcessingBox {
  readonly #percent = h("p", { class: "percent" });
  readonly #line = h("p", { class: "percent-line", role: "status" });
  readonly #bar = progressBar("Processing");
  readonly #stages = h("ol", { class: "stages" });
  readonly #renditions = h("ul", { class: "renditions" });
  readonly element = h("div", { class: "stage-box" }, this.#percent, this.#line, this.#bar, this.#stages, this.#renditions);

  update(video: Video, { stages, renditions, secondsLeft }: Processing): void {
    const running = video.status === "processing";
    const left = secondsLeft === null ? "Playback starts" : `${formatTimeLeft(secondsLeft)}. Playback starts`;
    setText(this.#percent, running ? formatPercent(video.progress) : "Queued");
    setText(this.#line, running ? `${left} by itself.` : "Other videos are processed first. Playback starts by itself.");
    setAttribute(this.#bar, "value", video.progress);
    this.#stages.replaceChildren(...stages.map(stageItem));
    // The sound is a stage by itself.
    const pictures = renditions.filter(({ name }) => name !== "audio");
    this.#renditions.replaceChildren(...pictures.map(({ name, progress }) => h("li", {}, h("span", {}, name), formatPercent(progress))));
  }
}

function stageItem({ name, state, progress }: Stage): HTMLElement {
  const label = state === "running" ? `${STAGE_NAMES[name]} ${formatPercent(progress)}` : STAGE_NAMES[name];
  return h(
    "li",
    { "data-state": state },
    state === "done" ? icon("check") : h("i", { class: "dot" }),
    label,
    h("span", { class: "unseen" }, `, ${STATE_WORDS[state]}`),
  );
}

/** A line below the player of a video of which only a part can be watched: the rest is being made, or will not be. */
export class ProcessingLine {
  readonly #text = h("p");
  readonly #bar = progressBar("Processing");
  readonly element = h("div", { class: "processing-line", hidden: true }, this.#text, this.#bar);

  update(video: Video, processing: Processing | null): void {
    this.element.hidden = !video.playable || video.status === "ready";
    this.#bar.hidden = video.status === "failed";
    setText(this.#text, partlyText(video, processing?.secondsLeft ?? null));
    setAttribute(this.#bar, "value", video.progress);
  }
}

function partlyText({ error, progress, status }: Video, secondsLeft: number | null): string {
  if (error !== null) return `Only a part of this video could be processed. ${error.message}`;
  const left = secondsLeft === null ? "" : `, ${formatTimeLeft(secondsLeft)}`;
  if (status === "uploading") return "Still being uploaded. It plays as far as it has come; a part that is not there yet is waited for.";
  return `Still processing: ${formatPercent(progress)}${left}. It plays already; a part that is not there yet takes a few seconds.`;
}
