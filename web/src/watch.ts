/** The page of one video: the player, or why there is none yet. */
import { ApiError, deleteVideo, getProcessing, getVideo, type Processing, type Video } from "./api.ts";
import { isUnfinished } from "./card.ts";
import { confirmAndDo } from "./dialog.ts";
import { h, icon, setAttribute, setText, setTitle, toast } from "./dom.ts";
import { videoFacts } from "./facts.ts";
import { formatAge, formatDate, formatViews } from "./format.ts";
import { lostPage } from "./lost.ts";
import { Notice } from "./notice.ts";
import { Poller, type Round } from "./poller.ts";
import { ProcessingBox, ProcessingLine } from "./processing.ts";

interface WatchOptions {
  readonly id: string;
  readonly signal: AbortSignal;
  /** Goes to the list of videos. */
  readonly leave: () => void;
}

export function openWatchPage(options: WatchOptions): HTMLElement {
  return new WatchPage(options).element;
}

/** What fills the stage. */
type Scene = "loading" | "processing" | "failed" | "player";

class WatchPage {
  readonly #options: WatchOptions;
  readonly #poller: Poller;
  readonly #notice = new Notice(() => this.#poller.wake());
  readonly #stage = h("div", { class: "stage" });
  readonly #title = h("h1", { dir: "auto" });
  readonly #age = h("time");
  readonly #views = h("span");
  readonly #actions = h("div", { class: "watch-actions" });
  readonly #delete = h("button", { type: "button", class: "button for-uploaders", hidden: true }, icon("trash"), "Delete");
  readonly #line = new ProcessingLine();
  readonly #facts = h("dl", { class: "facts" });
  readonly #description = h("p", { class: "description", dir: "auto" });
  readonly #box = new ProcessingBox();
  readonly element: HTMLElement;
  #scene: Scene = "loading";
  #unfinished = true;
  /** The processing of the last round, as JSON. */
  #seen = "";
  /** The news of our own deletion may come before its answer, and is none. */
  #deleting = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    const heading = h("div", { class: "watch-title" }, this.#title, h("p", { class: "meta" }, this.#age, this.#views));
    const head = h("div", { class: "watch-head" }, heading, this.#actions);
    this.#actions.append(this.#delete);
    this.#delete.addEventListener("click", () => void this.#confirmDelete());
    this.element = h(
      "article",
      { class: "watch" },
      this.#notice.element,
      this.#stage,
      this.#line.element,
      head,
      this.#facts,
      this.#description,
    );
    const { signal } = options;
    this.#poller = new Poller({ round: () => this.#round(), onFailure: (error) => this.#notice.show(error), signal });
    this.#poller.follow(`video:${options.id}`, signal);
  }

  async #round(): Promise<Round> {
    const { id, signal } = this.#options;
    if (this.#deleting) return "idle";
    try {
      const video = await getVideo(id, signal);
      this.#unfinished = isUnfinished(video);
      const processing = this.#unfinished ? await getProcessing(id, signal) : null;
      this.#notice.hide();
      this.#show(video, processing);
      if (processing === null) return "idle";
      const before = this.#seen;
      this.#seen = JSON.stringify(processing);
      return this.#seen === before ? "quiet" : "news";
    } catch (error) {
      // 400: what stands in the address is not the identifier of any video.
      if (!(error instanceof ApiError) || ![400, 404, 410].includes(error.status)) throw error;
      this.element.replaceChildren(lostPage("There is no such video."));
      return "idle";
    }
  }

  #show(video: Video, processing: Processing | null): void {
    setTitle(video.title);
    setText(this.#title, video.title);
    setText(this.#age, formatAge(video.createdAt, Date.now()));
    setAttribute(this.#age, "datetime", video.createdAt);
    setAttribute(this.#age, "title", formatDate(video.createdAt));
    setText(this.#views, formatViews(video.views));
    setText(this.#description, video.description);
    this.#facts.replaceChildren(...videoFacts(video));
    this.#line.update(video, processing);
    this.#delete.hidden = false;
    this.#setScene(video);
    if (processing) this.#box.update(video, processing);
  }

  #setScene(video: Video): void {
    const scene = sceneOf(video);
    if (scene === this.#scene) return;
    this.#scene = scene;
    if (scene === "processing") {
      this.#stage.replaceChildren(this.#box.element);
      void loadPlayer();
    }
    if (scene === "failed") this.#stage.replaceChildren(failedBox(video));
    if (scene === "player") void this.#play(video);
  }

  async #play({ title, manifests: { dash, hls }, thumbnail }: Video): Promise<void> {
    if (dash === null) return;
    const { signal } = this.#options;
    const { Player } = await loadPlayer();
    if (signal.aborted) return;
    const player = new Player({
      title,
      dash,
      hls,
      poster: thumbnail,
      signal,
      isUnfinished: () => this.#unfinished,
      onTrouble: () => this.#poller.wake(),
    });
    this.#stage.replaceChildren(player.element);
    this.#actions.prepend(player.quality);
  }

  async #confirmDelete(): Promise<void> {
    const { id, signal, leave } = this.#options;
    const title = this.#title.textContent;
    const deleted = await confirmAndDo({
      heading: "Delete this video?",
      text: `“${title}” will be gone for everyone who has its address.`,
      verb: "Delete",
      act: () => this.#remove(id, signal),
    });
    if (!deleted) return;
    toast(`Deleted “${title}”.`);
    leave();
  }

  async #remove(id: string, signal: AbortSignal): Promise<void> {
    this.#deleting = true;
    try {
      await deleteVideo(id, signal);
    } catch (error) {
      this.#deleting = false;
      this.#poller.wake();
      throw error;
    }
  }
}

function sceneOf({ playable, status }: Video): Scene {
  if (playable) return "player";
  return status === "failed" ? "failed" : "processing";
}

/** A chunk of its own: the list does without 500 kB of player. Whoever waits for a video to be playable does not wait for that then. */
const loadPlayer = async () => await import("./player.ts");

function failedBox({ error }: Video): HTMLElement {
  return h(
    "div",
    { class: "stage-box failed", role: "alert" },
    icon("alert"),
    h("h2", {}, "This video could not be processed"),
    h("p", {}, error?.message ?? "The server did not say why."),
  );
}
