import type shaka from "shaka-player/dist/shaka-player.dash-es2021.js";
import { h, setText } from "./dom.ts";

const AUTO = "auto";

/** Chooses between letting the player adapt and one rendition. Native, so that keys and screen readers work as everywhere. */
export class QualityMenu {
  readonly #player: shaka.Player;
  readonly #auto = h("option", { value: AUTO }, "Auto");
  readonly #select = h("select", { "aria-label": "Quality" }, this.#auto);
  readonly element = h("label", { class: "quality", hidden: true }, h("span", { "aria-hidden": "true" }, "Quality"), this.#select);

  constructor(player: shaka.Player) {
    this.#player = player;
    this.#select.addEventListener("change", () => this.#choose(this.#select.value));
    for (const event of ["adaptation", "variantchanged"]) player.addEventListener(event, () => this.#showActive());
    player.addEventListener("trackschanged", () => this.refresh());
  }

  /** Lists what the manifest offers. */
  refresh(): void {
    const heights = [...new Set(this.#player.getVideoTracks().map(({ height }) => height ?? 0))].toSorted((a, b) => b - a);
    const chosen = this.#select.value;
    this.#select.replaceChildren(this.#auto, ...heights.map((height) => h("option", { value: height }, `${height}p`)));
    this.#select.value = heights.includes(Number(chosen)) ? chosen : AUTO;
    this.element.hidden = heights.length < 2;
    this.#showActive();
  }

  #showActive(): void {
    const height = this.#player.getVideoTracks().find(({ active }) => active)?.height;
    setText(this.#auto, height && this.#select.value === AUTO ? `Auto (${height}p)` : "Auto");
  }

  #choose(value: string): void {
    this.#player.configure("abr.enabled", value === AUTO);
    const track = this.#player.getVideoTracks().find(({ height }) => String(height) === value);
    // What is buffered ahead in another quality is dropped, but for the next seconds: the change is soon, and without a gap.
    if (track) this.#player.selectVideoTrack(track, true, 4);
    this.#showActive();
  }
}
