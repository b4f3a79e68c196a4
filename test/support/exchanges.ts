/** What a player asked the server for and how it was answered: the message of a test whose player does not get where it should. */
import type { Page, Request } from "playwright-core";

/** Of the last requests: enough for two spans of every rendition. */
const TOLD_MAX = 60;
/** Media and manifests. What the page asks of the catalogue meanwhile is many times more. */
const PLAYED = /\/(?:streams\/|manifest\.mpd)/;

const recorded = new WeakMap<Page, ReadonlyMap<Request, string>>();

/** From now on. */
export function recordExchanges(page: Page): void {
  const began = performance.now();
  const lines = new Map<Request, string>();
  const tell = (request: Request, what: string): void => {
    if (!PLAYED.test(request.url())) return;
    const at = `${((performance.now() - began) / 1000).toFixed(1)} s ${what}`;
    lines.set(request, `${lines.get(request) ?? new URL(request.url()).pathname}: ${at}`);
  };
  page.on("request", (request) => tell(request, "asked"));
  page.on("response", (response) => tell(response.request(), `answered ${response.status()}`));
  page.on("requestfailed", (request) => tell(request, request.failure()?.errorText ?? "failed"));
  recorded.set(page, lines);
}

/** A line each, in the order in which they were asked. */
export function exchangesOf(page: Page): string {
  return [...(recorded.get(page)?.values() ?? [])].slice(-TOLD_MAX).join("\n");
}
