/** The list of videos, newest first. Its elements outlive visits to other pages, so that coming back is instant and lands where one left. */
import { ApiError, listVideos, type Video, type VideoPage } from "./api.ts";
import { Card, isUnfinished } from "./card.ts";
import { h, icon, setText, setTitle } from "./dom.ts";
import { Notice } from "./notice.ts";
import { Poller, type Round } from "./poller.ts";

/** Divides by two, three and four columns. */
const PAGE = 24;
/** What the server gives at once. */
const LIST_MAX = 100;

export class Home {
  readonly #count = h("span", { class: "count" });
  readonly #notice = new Notice(() => this.refresh());
  readonly #heading = h("h1", {}, "Videos ", this.#count);
  readonly #grid = h("ul", { class: "grid" }, ...skeletons(8));
  readonly #empty: HTMLElement;
  readonly #more = h("button", { type: "button", class: "button more", hidden: true }, "Load more");
  readonly #element: HTMLElement;
  readonly #cards = new Map<string, Card>();
  #videos: readonly Video[] = [];
  #nextCursor: string | null = null;
  #poller: Poller | null = null;
  #signal = new AbortController().signal;
  /** Ends the following of a video that is still being worked on. */
  readonly #followed = new Map<string, AbortController>();

  /** `choose` opens the file picker. */
  constructor(choose: () => void) {
    this.#empty = emptyState(choose);
    this.#more.addEventListener("click", () => void this.#loadMore());
    this.#element = h("div", { class: "home" }, this.#heading, this.#notice.element, this.#empty, this.#grid, this.#more);
  }

  open(signal: AbortSignal): HTMLElement {
    setTitle(null);
    this.#signal = signal;
    this.#followed.clear();
    this.#poller = new Poller({ round: () => this.#round(signal), onFailure: (error) => this.#notice.show(error), signal });
    return this.#element;
  }

  refresh(): void {
    this.#poller?.wake();
  }

  /** Reads again as much as is shown: one request for a hundred videos. */
  async #round(signal: AbortSignal): Promise<Round> {
    const wanted = Math.max(PAGE, Math.ceil(this.#videos.length / PAGE) * PAGE);
    const before = this.#videos;
    const page = await listUpTo(wanted, signal);
    // "Load more" was quicker: what it showed is not to vanish again.
    if (this.#videos !== before) return "news";
    this.#notice.hide();
    this.#show(page);
    if (!this.#videos.some(isUnfinished)) return "idle";
    return JSON.stringify(before) === JSON.stringify(this.#videos) ? "quiet" : "news";
  }

  async #loadMore(): Promise<void> {
    const shown = this.#videos;
    this.#more.disabled = true;
    try {
      const page = await listVideos(PAGE, this.#nextCursor, this.#signal);
      const known = new Set(shown.map(({ id }) => id));
      const added = page.videos.filter(({ id }) => !known.has(id));
      this.#show({ ...page, videos: [...shown, ...added] });
      // The button may be gone now; reading goes on at the first new video.
      this.#cards.get(added[0]?.id ?? "")?.link.focus({ preventScroll: true });
    } catch (error) {
      if (this.#signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.#notice.show(error);
    } finally {
      this.#more.disabled = false;
    }
  }

  #show({ videos, total, nextCursor }: VideoPage): void {
    this.#videos = videos;
    this.#nextCursor = nextCursor;
    this.#more.hidden = nextCursor === null;
    this.#empty.hidden = videos.length > 0;
    this.#heading.classList.toggle("unseen", videos.length === 0);
    setText(this.#count, total > 0 ? total.toLocaleString("en") : "");
    this.#fillGrid(videos);
    this.#follow(new Set(videos.filter(isUnfinished).map(({ id }) => id)));
  }

  #follow(unfinished: ReadonlySet<string>): void {
    for (const [id, following] of this.#followed) {
      if (unfinished.has(id) && !this.#signal.aborted) continue;
      following.abort();
      this.#followed.delete(id);
    }
    for (const id of unfinished) {
      if (this.#followed.has(id) || this.#signal.aborted) continue;
      const following = new AbortController();
      this.#followed.set(id, following);
      this.#poller?.follow(`video:${id}`, AbortSignal.any([following.signal, this.#signal]));
    }
  }

  /** Keeps the cards of videos that stay where they are: an element that moves loses focus and loads its picture again. */
  #fillGrid(videos: readonly Video[]): void {
    for (const skeleton of this.#grid.querySelectorAll(".skeleton")) skeleton.remove();
    this.#dropCards(new Set(videos.map(({ id }) => id)));
    for (const [at, video] of videos.entries()) {
      const { element } = this.#card(video);
      if (this.#grid.children[at] !== element) this.#grid.insertBefore(element, this.#grid.children[at] ?? null);
    }
  }

  #dropCards(kept: ReadonlySet<string>): void {
    for (const [id, card] of this.#cards) {
      if (kept.has(id)) continue;
      card.element.remove();
      this.#cards.delete(id);
    }
  }

  #card(video: Video): Card {
    const card = this.#cards.get(video.id) ?? new Card(video);
    this.#cards.set(video.id, card);
    card.update(video);
    return card;
  }
}

async function listUpTo(wanted: number, signal: AbortSignal): Promise<VideoPage> {
  let page = await listVideos(Math.min(LIST_MAX, wanted), null, signal);
  while (page.nextCursor !== null && page.videos.length < wanted) {
    const next = await listVideos(Math.min(LIST_MAX, wanted - page.videos.length), page.nextCursor, signal);
    page = { ...next, videos: [...page.videos, ...next.videos] };
  }
  return page;
}

function skeletons(count: number): HTMLElement[] {
  return Array.from({ length: count }, () =>
    h("li", { class: "card skeleton", "aria-hidden": "true" }, h("div", { class: "picture" }), h("h2"), h("p", { class: "meta" })),
  );
}

function emptyState(choose: () => void): HTMLElement {
  const button = h("button", { type: "button", class: "button primary" }, icon("upload"), "Choose videos");
  button.addEventListener("click", choose);
  return h(
    "section",
    { class: "empty", hidden: true },
    icon("mark"),
    h("h2", {}, "No videos yet"),
    h("p", {}, "Drop files anywhere on this page, or choose them. A video can be watched seconds after its last byte."),
    button,
    h("p", { class: "aside" }, "Or from a terminal"),
    h("code", {}, `curl -F file=@video.mp4 ${location.origin}/api/v1/videos/upload`),
  );
}
