/** Actions as steps of who calls them: the caller's step goes along in the headers of a call, to other nodes and to this one. */
import type { CallingOptions, Context, Middleware } from "moleculer";
import { continued, outside, StepKind, type Step, traceparent } from "../services/kernel/trace.ts";

type Call = (action: string, params: unknown, options?: CallingOptions) => Promise<unknown>;

export const tracedCalls: Middleware = {
  name: "TracedCalls",
  // Moleculer's types have the answer of a call for the method.
  call: naming as never,
  localAction: (next: (ctx: Context) => Promise<unknown>) => (ctx: Context) =>
    continued(ctx.headers["traceparent"], stepOf(ctx), async () => await next(ctx)),
  // An event is heard by who works for everybody: what follows from it belongs to nobody's request.
  localEvent: (next) => async (ctx: Context) => await outside(async () => await next(ctx)),
};

function naming(next: Call): Call {
  return (action, params, options) => {
    const own = traceparent();
    return next(action, params, own === undefined ? options : { ...options, headers: { ...options?.headers, traceparent: own } });
  };
}

function stepOf({ action, nodeID, broker }: Context): Step {
  return { name: action?.name ?? "action", kind: nodeID === broker.nodeID ? StepKind.INTERNAL : StepKind.SERVER };
}
