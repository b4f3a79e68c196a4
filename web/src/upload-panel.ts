/** The uploads of this tab as rows in the corner, on every page. */
import { announce, byId, h, icon, progressBar, setAttribute, setText } from "./dom.ts";
import { formatBytes, formatPercent, formatTimeLeft } from "./format.ts";
import type { Upload, Uploads, UploadState } from "./uploads.ts";

export function startUploadPanel(uploads: Uploads, choose: () => void): void {
  const panel = byId("uploads", HTMLElement);
  const rows = new Map<Upload, UploadRow>();
  const heading = h("h2");
  const list = h("ul", { id: "upload-rows", class: "upload-rows" });
  const clear = h("button", { type: "button", class: "button quiet small" }, "Clear done");
  clear.addEventListener("click", () => {
    for (const upload of uploads.all.filter(isOver)) uploads.remove(upload);
  });
  panel.append(h("header", {}, heading, clear, foldButton(list)), list);

  uploads.onChange((upload) => {
    const row = rows.get(upload) ?? new UploadRow(upload, { uploads, choose });
    if (!uploads.all.includes(upload)) {
      row.element.remove();
      rows.delete(upload);
    } else {
      rows.set(upload, row);
      row.update();
      if (!row.element.isConnected) {
        list.append(row.element);
        row.element.scrollIntoView({ block: "nearest" });
      }
    }
    panel.hidden = rows.size === 0;
    clear.hidden = !uploads.all.some(isOver);
    setText(heading, headline(uploads.all));
  });
}

const isOver = ({ state }: Upload) => state.kind === "ready" || state.kind === "failed";

function headline(all: readonly Upload[]): string {
  const count = (...kinds: UploadState["kind"][]) => all.filter(({ state }) => kinds.includes(state.kind)).length;
  const unsent = count("waiting", "sending", "lost", "storing");
  if (unsent > 0) return `Uploading ${unsent} of ${all.length}`;
  const stopped = count("paused", "interrupted");
  if (stopped > 0) return stopped === 1 ? "1 upload to go on with" : `${stopped} uploads to go on with`;
  const processing = count("processing");
  return processing > 0 ? `Processing ${processing} of ${all.length}` : "Uploads";
}

function foldButton(list: HTMLElement): HTMLElement {
  const button = h("button", { type: "button", class: "button quiet square", "aria-controls": list.id }, icon("down"));
  const show = (open: boolean) => {
    list.hidden = !open;
    setAttribute(button, "aria-expanded", open ? "true" : "false");
    setAttribute(button, "aria-label", open ? "Fold the uploads" : "Show the uploads");
  };
  button.addEventListener("click", () => show(list.hidden === true));
  show(true);
  return button;
}

class UploadRow {
  readonly #upload: Upload;
  readonly #bar: HTMLProgressElement;
  readonly #line = h("p", { class: "upload-line" });
  readonly #watch = h("a", { class: "button small", hidden: true }, "Watch");
  readonly #retry: HTMLButtonElement;
  readonly #choose: HTMLButtonElement;
  readonly #pause = h("button", { type: "button", class: "button quiet square" });
  readonly #close: HTMLButtonElement;
  readonly element: HTMLElement;
  #kind = "";

  constructor(upload: Upload, { uploads, choose }: { uploads: Uploads; choose: () => void }) {
    const { name } = upload;
    this.#upload = upload;
    this.#bar = progressBar(name);
    this.#retry = h(
      "button",
      { type: "button", class: "button small", hidden: true, "aria-label": `Retry ${name}` },
      icon("retry"),
      "Retry",
    );
    this.#choose = h(
      "button",
      { type: "button", class: "button small", hidden: true, "aria-label": `Choose ${name} again` },
      "Choose file",
    );
    this.#close = h("button", { type: "button", class: "button quiet square" }, icon("close"));
    // Who goes to watch it has seen that it is ready.
    this.#watch.addEventListener("click", () => {
      if (isOver(upload)) uploads.remove(upload);
    });
    this.#retry.addEventListener("click", () => uploads.resume(upload));
    this.#choose.addEventListener("click", choose);
    this.#pause.addEventListener("click", () => (isMoving(upload.state) ? uploads.pause(upload) : uploads.resume(upload)));
    this.#close.addEventListener("click", () => uploads.remove(upload));
    this.element = h(
      "li",
      { class: "upload" },
      h("div", { class: "upload-text" }, h("p", { class: "upload-name", dir: "auto", title: name }, name), this.#line),
      h("div", { class: "upload-actions" }, this.#watch, this.#retry, this.#choose, this.#pause, this.#close),
      this.#bar,
    );
  }

  update(): void {
    const { state, videoId, name, size } = this.#upload;
    setAttribute(this.element, "data-state", state.kind);
    setText(this.#line, describe(state, size));
    setAttribute(this.#bar, "value", progressOf(state, size));
    this.#bar.hidden = ["ready", "failed", "unsent"].includes(state.kind);
    this.#retry.hidden = state.kind !== "unsent";
    this.#watch.hidden = !(state.kind === "ready" || (state.kind === "processing" && state.processing?.playable === true));
    if (videoId !== null) setAttribute(this.#watch, "href", `/watch/${encodeURIComponent(videoId)}`);
    setAttribute(this.#watch, "aria-label", `Watch ${name}`);
    setAttribute(this.#close, "aria-label", `${closeWord(state)} ${name}`);
    this.#choose.hidden = state.kind !== "interrupted";
    this.#showPause();
    if (state.kind !== this.#kind) this.#announce(state);
    this.#kind = state.kind;
  }

  #showPause(): void {
    const { state, name } = this.#upload;
    const moving = isMoving(state);
    this.#pause.hidden = !moving && state.kind !== "paused";
    const shown = moving ? "pause" : "play";
    if (this.#pause.dataset["icon"] !== shown) this.#pause.replaceChildren(icon(shown));
    this.#pause.dataset["icon"] = shown;
    setAttribute(this.#pause, "aria-label", `${moving ? "Pause" : "Go on with"} the upload of ${name}`);
  }

  /** Only what a person waits for: each percent would drown everything else. */
  #announce(state: UploadState): void {
    const { name } = this.#upload;
    if (state.kind === "processing") announce(`${name} is uploaded.`);
    if (state.kind === "ready") announce(`${name} is ready to watch.`);
    if (state.kind === "failed") announce(`${name} failed. ${state.reason}`);
    if (state.kind === "lost") announce(`The connection was lost. The upload of ${name} goes on when it is back.`);
    if (state.kind === "unsent") announce(`${name} was not uploaded. ${state.title} ${state.detail}`);
  }
}

/** Whether it can be paused. */
function isMoving({ kind }: UploadState): boolean {
  return kind === "sending" || kind === "lost";
}

function closeWord({ kind }: UploadState): string {
  return ["waiting", "sending", "lost", "storing", "paused", "interrupted"].includes(kind) ? "Cancel the upload of" : "Hide";
}

function progressOf(state: UploadState, size: number): number {
  if ("sent" in state) return state.sent / size;
  if (state.kind === "storing") return 1;
  return state.kind === "processing" ? (state.processing?.progress ?? 0) : 0;
}

function describe(state: UploadState, size: number): string {
  if (state.kind === "waiting") return `Waiting · ${formatBytes(size)}`;
  if (state.kind === "sending") return describeSending(state.sent, state.speed, size);
  if (state.kind === "lost") return `Connection lost at ${formatPercent(state.sent / size)}. Goes on by itself.`;
  if (state.kind === "paused") return `Paused at ${formatPercent(state.sent / size)} · ${formatBytes(size)}`;
  if (state.kind === "interrupted") return `Interrupted at ${formatPercent(state.sent / size)}. Choose the file again to go on.`;
  if (state.kind === "storing") return "Storing safely";
  if (state.kind === "processing") return describeProcessing(state);
  if (state.kind === "ready") return "Ready";
  return state.kind === "unsent" ? [state.title, state.detail].filter(Boolean).join(" ") : state.reason;
}

function describeSending(sent: number, speed: number | null, size: number): string {
  const amount = `${formatBytes(sent)} of ${formatBytes(size)}`;
  if (speed === null || speed === 0) return amount;
  return `${amount} · ${formatBytes(speed)}/s · ${formatTimeLeft((size - sent) / speed)}`;
}

function describeProcessing({ processing }: Extract<UploadState, { kind: "processing" }>): string {
  if (!processing || processing.status !== "processing") return "Waiting to be processed";
  const left = processing.secondsLeft === null ? "" : ` · ${formatTimeLeft(processing.secondsLeft)}`;
  return `Processing ${formatPercent(processing.progress)}${left}`;
}
