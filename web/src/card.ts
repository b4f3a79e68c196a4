/** One video in the grid. */
import type { Video } from "./api.ts";
import { h, icon, progressBar, setAttribute, setText } from "./dom.ts";
import { formatAge, formatDate, formatDuration, formatPercent, formatViews } from "./format.ts";

export class Card {
  readonly #picture = h("div", { class: "picture" });
  readonly #image = h("img", { alt: "", loading: "lazy", decoding: "async", width: 480, height: 270 });
  readonly #chip = h("span", { class: "chip" });
  readonly #length = h("span", { class: "length" });
  readonly #bar = progressBar("Processing");
  readonly #link = h("a", { class: "card-link", dir: "auto" });
  readonly #age = h("time");
  readonly #views = h("span");
  readonly #reason = h("p", { class: "reason" });
  readonly element: HTMLElement;

  constructor(video: Video) {
    this.#image.addEventListener("error", () => this.#image.remove());
    this.#picture.append(icon("mark"), this.#chip, this.#length, this.#bar);
    this.element = h(
      "li",
      { class: "card" },
      this.#picture,
      h("h2", {}, this.#link),
      h("p", { class: "meta" }, this.#age, this.#views),
      this.#reason,
    );
    setAttribute(this.#link, "href", `/watch/${encodeURIComponent(video.id)}`);
    setAttribute(this.#age, "datetime", video.createdAt);
    setAttribute(this.#age, "title", formatDate(video.createdAt));
  }

  get link(): HTMLElement {
    return this.#link;
  }

  update(video: Video): void {
    const unfinished = isUnfinished(video);
    setAttribute(this.element, "data-status", video.status);
    setText(this.#link, video.title);
    setText(this.#age, formatAge(video.createdAt, Date.now()));
    setText(this.#views, formatViews(video.views));
    setText(this.#chip, statusText(video));
    setText(this.#length, video.duration === null ? "" : formatDuration(video.duration));
    setText(this.#reason, video.error?.message ?? "");
    setAttribute(this.#bar, "value", video.progress);
    this.#chip.hidden = !unfinished && video.status !== "failed";
    this.#length.hidden = video.duration === null;
    this.#reason.hidden = video.error === null;
    this.#bar.hidden = !unfinished;
    this.#showImage(video);
  }

  #showImage({ thumbnail, width, height }: Video): void {
    if (thumbnail === null || this.#image.getAttribute("src") === thumbnail) return;
    // A portrait would lose most of itself in a landscape frame.
    this.#image.classList.toggle("whole", (height ?? 0) > (width ?? 0));
    this.#image.src = thumbnail;
    this.#picture.prepend(this.#image);
  }
}

export function isUnfinished({ status }: Pick<Video, "status">): boolean {
  return status === "uploading" || status === "queued" || status === "processing";
}

function statusText({ status, progress }: Video): string {
  if (status === "processing") return `Processing ${formatPercent(progress)}`;
  return status === "failed" ? "Failed" : "Queued";
}
