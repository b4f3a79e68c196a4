/** The API's own description, and a page to read it and try it. */
import { z } from "zod";
import { failure } from "../kernel/errors.ts";
import type { Route } from "./dispatch.ts";
import { contentTag } from "./domain/edition.ts";
import { API } from "./domain/links.ts";
import { nothing } from "./domain/parameters.ts";
import { JSON_TYPE, type Content } from "./http/reply.ts";
import { route, type GatewayState } from "./state.ts";

const about = { method: "GET", tag: "Documentation", needs: "anonymous", limit: "read", params: nothing } as const;

export const docsRoutes: readonly Route<GatewayState>[] = [
  route({
    ...about,
    id: "getDescription",
    path: `${API}/openapi.json`,
    summary: "This description, as OpenAPI 3.1.",
    query: nothing,
    answers: { 200: { description: "The description.", json: z.looseObject({ openapi: z.string() }) } },
    errors: [],
    handler: async ({ description }) => description,
  }),
  route({
    ...about,
    id: "getDocumentation",
    path: `${API}/docs`,
    summary: "A page to read this and to try it.",
    query: z.unknown(),
    answers: { 200: { description: "The page.", media: "text/html" } },
    errors: ["ROUTE_NOT_FOUND"],
    async handler({ page }): Promise<Content> {
      const content = page.get("/docs.html");
      if (!content) throw failure("ROUTE_NOT_FOUND", "The page is not built: npm run build:web builds it.");
      return content;
    },
  }),
];

/** Made once, sent often. */
export function descriptionContent(description: object): Content {
  const bytes = Buffer.from(JSON.stringify(description));
  return { type: JSON_TYPE, size: bytes.length, caching: "no-cache", etag: contentTag(bytes), bytes: () => bytes };
}
