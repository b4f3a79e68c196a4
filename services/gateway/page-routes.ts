/** The page, and each of its files by its own address. */
import { z } from "zod";
import { failure } from "../kernel/errors.ts";
import type { Route } from "./dispatch.ts";
import { byId, nothing } from "./domain/parameters.ts";
import type { Content } from "./http/reply.ts";
import { route, type GatewayState } from "./state.ts";

const INDEX = "/index.html";

export function pageRoutes(page: GatewayState["page"]): readonly Route<GatewayState>[] {
  const files = [...page.keys()].map((path) => pageRoute({ path, file: path, params: nothing }));
  return [pageRoute({ path: "/", file: INDEX, params: nothing }), pageRoute({ path: "/watch/:id", file: INDEX, params: byId }), ...files];
}

/** Pages take any query: addresses that are passed around collect them (`?utm_source=`). */
function pageRoute({ path, file, params }: { path: string; file: string; params: z.ZodType }): Route<GatewayState> {
  const handler = async ({ page }: GatewayState): Promise<Content> => {
    const content = page.get(file);
    if (!content) throw failure("ROUTE_NOT_FOUND", "The page is not built: npm run build:web builds it.");
    return content;
  };
  return route({
    id: `page ${path}`,
    method: "GET",
    path,
    summary: "The page.",
    tag: "Page",
    needs: "anonymous",
    limit: "none",
    params,
    query: z.unknown(),
    answers: { 200: { description: "The page." } },
    errors: [],
    handler,
  });
}
