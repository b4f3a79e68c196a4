/** Calls of a disk as steps of who makes them; the disk is told which, and goes on with it. */
import { type Interceptor, InterceptingCall, ListenerBuilder, type Metadata, RequesterBuilder } from "@grpc/grpc-js";
import { nameOfCall, outcomeOf, TRACE_METADATA } from "../../proto/trace.ts";
import { begin, isTraced, StepKind } from "../../services/kernel/trace.ts";

export const tracedCalls: Interceptor = (options, nextCall) => {
  const call = nextCall(options);
  const step = isTraced() ? begin({ name: nameOfCall(options.method_definition.path), kind: StepKind.CLIENT }) : undefined;
  // What is there is of the same shape; the types ask for the class.
  if (!step) return call as InterceptingCall;
  const listener = new ListenerBuilder().withOnReceiveStatus((said, next) => {
    step.end(...outcomeOf(said.code));
    next(said);
  });
  const requester = new RequesterBuilder().withStart((metadata, _listener, next) =>
    next(naming(metadata, step.traceparent), listener.build()),
  );
  return new InterceptingCall(call, requester.build());
};

/** What is given is shared by all calls. */
function naming(metadata: Metadata, traceparent: string): Metadata {
  const own = metadata.clone();
  own.set(TRACE_METADATA, traceparent);
  return own;
}
