/** Pages by address (History API). A page lives as long as its signal. */

export interface Route {
  readonly pattern: RegExp;
  /** Builds the page; `parameter` is what the pattern's first group matched. Everything it starts ends with `signal`. */
  open(parameter: string, signal: AbortSignal): HTMLElement;
}

interface Place {
  readonly scrollY: number;
}

export class Router {
  readonly #outlet: HTMLElement;
  readonly #routes: readonly Route[];
  #current = new AbortController();

  /** Shows the page of the present address in `outlet`, and from then on follows links and the browser's back and forward. The last route takes what no other does. */
  constructor(outlet: HTMLElement, routes: readonly Route[]) {
    this.#outlet = outlet;
    this.#routes = routes;
    // The browser would restore the position before the page is there.
    history.scrollRestoration = "manual";
    addEventListener("popstate", (event) => {
      this.#open();
      scrollTo(0, (event.state as Place | null)?.scrollY ?? 0);
    });
    document.addEventListener("click", (event) => this.#follow(event));
    this.#open();
  }

  navigate(path: string): void {
    history.replaceState({ scrollY } satisfies Place, "");
    history.pushState(null, "", path);
    this.#open();
    scrollTo(0, 0);
    this.#outlet.focus({ preventScroll: true });
  }

  #open(): void {
    this.#current.abort();
    this.#current = new AbortController();
    const path = location.pathname;
    const route = this.#routes.find(({ pattern }) => pattern.test(path)) ?? this.#routes.at(-1);
    const parameter = route?.pattern.exec(path)?.[1] ?? "";
    if (route) this.#outlet.replaceChildren(route.open(parameter, this.#current.signal));
  }

  #follow(event: MouseEvent): void {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    const elsewhere = event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
    if (!link || elsewhere || event.defaultPrevented || link.target || link.origin !== location.origin) return;
    event.preventDefault();
    // To the content: a fragment in the address would be a new place, and open the page again.
    if (link.hash) this.#outlet.focus();
    else this.navigate(link.pathname);
  }
}
