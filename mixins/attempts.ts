/** Tells who is called whether a call is a later attempt: Moleculer counts attempts where the call is made, and the count does not cross NATS. */
import type { Context, Middleware, ServiceBroker } from "moleculer";
import type { Attempted } from "../services/kernel/rpc.ts";

interface Call {
  readonly nodeID: string | null;
  readonly endpoint: { readonly local: boolean } | null;
  readonly meta: Attempted;
  readonly _retryAttempts?: number | null;
}

/** Each call says it anew: what an action calls inherits what that action was told. */
export const attempts: Middleware = { name: "Attempts", localAction: tellAttempt, remoteAction: tellAttempt };

function tellAttempt(this: ServiceBroker, next: (ctx: Context) => Promise<unknown>) {
  const here = this.nodeID;
  return (ctx: Context): Promise<unknown> => {
    const { nodeID, endpoint, meta, _retryAttempts: before } = ctx as object as Call;
    // What came over NATS has been told by its caller.
    if (nodeID === here || endpoint?.local !== true) meta.repeated = (before ?? 0) > 0;
    return next(ctx);
  };
}
