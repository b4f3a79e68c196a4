/** Elements without a framework. */

type Child = Node | string | null;
type Attributes = Readonly<Record<string, string | number | boolean | null>>;

/** Builds an element. A child that is a string becomes text, never markup: titles are written by strangers. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** `true` is an attribute without a value; `false` and `null` are none. Writes only what differs, so that nothing is announced or loaded twice. */
export function setAttribute(element: Element, name: string, value: string | number | boolean | null): void {
  const text = value === true ? "" : String(value);
  if (value === false || value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

type IconName = "mark" | "upload" | "close" | "retry" | "trash" | "down" | "check" | "alert" | "back" | "pause" | "play";

/** A symbol of index.html. It says nothing by itself: the text beside it, or its button's label, does. */
export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.classList.add("icon", `icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** A native progress bar, from 0 to 1. */
export function progressBar(label: string): HTMLProgressElement {
  return h("progress", { max: 1, value: 0, "aria-label": label });
}

/** An element of index.html. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`index.html has no ${type.name} with the id ${id}`);
  return element;
}

/** Tells people who do not see the page what happened. */
export function announce(text: string): void {
  byId("announcer", HTMLElement).textContent = text;
}

const TOAST_MS = 5000;
let toastTimer = 0;

/** Tells everyone what happened, for a moment. */
export function toast(text: string): void {
  const element = byId("toast", HTMLElement);
  element.textContent = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (element.textContent = ""), TOAST_MS);
}

export function setTitle(title: string | null): void {
  document.title = title === null ? "TritonTube" : `${title} · TritonTube`;
}
