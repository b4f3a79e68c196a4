/** Calls as steps of who makes them, where the caller says which: the whole of a call, from its first message to its status. */
import { type Metadata, ServerInterceptingCall, type ServerInterceptor, ServerListenerBuilder, status } from "@grpc/grpc-js";
import { nameOfCall, outcomeOf, TRACE_METADATA } from "../../../proto/trace.ts";
import { begin, type OpenStep, StepKind } from "../../kernel/trace.ts";

export const tracedCalls: ServerInterceptor = ({ path }, call) => {
  let step: OpenStep | undefined;
  const end = (code: status | null | undefined): void => {
    step?.end(...outcomeOf(code));
    step = undefined;
  };
  return new ServerInterceptingCall(call, {
    start(next) {
      const listener = new ServerListenerBuilder()
        .withOnReceiveMetadata((metadata, proceed) => {
          const parent = parentOf(metadata);
          if (parent !== undefined) step = begin({ name: nameOfCall(path), kind: StepKind.SERVER }, parent);
          proceed(metadata);
        })
        .withOnCancel(() => end(status.CANCELLED));
      next(listener.build());
    },
    sendStatus(said, next) {
      end(said.code);
      next(said);
    },
  });
};

function parentOf(metadata: Metadata): string | undefined {
  const [parent] = metadata.get(TRACE_METADATA);
  return typeof parent === "string" ? parent : undefined;
}
