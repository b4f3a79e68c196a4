import { h, setTitle } from "./dom.ts";

/** The page for what is not there. */
export function lostPage(sentence: string): HTMLElement {
  setTitle("Not found");
  return h(
    "section",
    { class: "empty" },
    h("p", { class: "aside" }, "404"),
    h("h1", {}, sentence),
    h("p", {}, "It may have been deleted, or the address is not complete."),
    h("a", { class: "button primary", href: "/" }, "All videos"),
  );
}
