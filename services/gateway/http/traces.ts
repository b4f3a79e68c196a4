/** A request as the first step of its trace, or as one of the trace that its client belongs to. Its address is told as a pattern: what stands in it stays out. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { begin, type OpenStep, StepKind } from "../../kernel/trace.ts";

export type Handling = (req: IncomingMessage & { readonly route?: string }, res: ServerResponse) => void;

/**
 * Ends a step when the request is over, with or without an answer. Of what only reads, the share `reads` is traced, whatever its client says: who sends a trace
 * of his own with each segment would have all of them traced.
 */
export function tracedRequests(handle: Handling, reads: number): Handling {
  return (req, res) => {
    const { method = "", headers } = req;
    if (isRead(method) && Math.random() >= reads) return handle(req, res);
    const requestId = String(res.getHeader("X-Request-Id"));
    const names = { name: method, kind: StepKind.SERVER, attributes: { "http.request.method": method, "tritontube.request": requestId } };
    const { traceparent } = headers;
    const step = begin(names, typeof traceparent === "string" ? traceparent : null);
    if (!step) return handle(req, res);
    res.once("close", () => end(step, req, res));
    step.within(() => handle(req, res));
  };
}

function isRead(method: string): boolean {
  return method === "GET" || method === "HEAD";
}

function end(step: OpenStep, { method, route = "none" }: Parameters<Handling>[0], { headersSent, statusCode }: ServerResponse): void {
  step.name(`${method} ${route}`);
  const failure = !headersSent ? "CLIENT_GONE" : statusCode >= 500 ? String(statusCode) : undefined;
  step.end({ "http.route": route, ...(headersSent ? { "http.response.status_code": statusCode } : {}) }, failure);
}
