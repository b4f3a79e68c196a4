import type { ApiError } from "./api.ts";
import { h, icon, setText } from "./dom.ts";

/** Says that something failed and will be tried again, with a button for the impatient. */
export class Notice {
  readonly #text = h("p");
  readonly element: HTMLElement;

  constructor(retry: () => void) {
    const button = h("button", { type: "button", class: "button small" }, "Try now");
    button.addEventListener("click", retry);
    this.element = h("div", { class: "notice", role: "status", hidden: true }, icon("alert"), this.#text, button);
  }

  show(error: ApiError): void {
    this.element.hidden = false;
    setText(this.#text, [error.title, error.message, "Trying again…"].filter(Boolean).join(" "));
  }

  hide(): void {
    this.element.hidden = true;
    setText(this.#text, "");
  }
}
