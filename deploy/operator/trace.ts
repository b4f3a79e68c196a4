/** The work on a video as it went: what waited how long, who did it, and where its trace is to be found. */
import { jobs, type WorkDone } from "../../services/jobs/contract.ts";
import { failure } from "../../services/kernel/errors.ts";
import { call, type Caller } from "../../services/kernel/rpc.ts";
import type { Given, Output } from "./command.ts";
import { number, table } from "./text.ts";

export async function trace(caller: Caller, { words: [id = ""] }: Given): Promise<Output> {
  if (!jobs.history.params.shape.videoId.safeParse(id).success)
    throw failure("INVALID_REQUEST", `"${id}" is no id of a video: "videos" lists them.`);
  const { traceIds, work } = await call(caller, jobs.history, { videoId: id });
  const began = Date.parse(work[0]?.createdAt ?? "");
  const lines = work.map((one) => lineOf(one, began));
  const where = traceIds.length === 0 ? "no trace was kept of it" : `trace ${traceIds.join(", ")}`;
  return {
    data: { traceIds, work },
    text: `${where}\n${table(["job", "kind", "state", "at, s", "waited, s", "took, s", "processors, s", "attempts", "by"], lines)}`,
  };
}

function lineOf(
  { id, kind, state, createdAt, startedAt, finishedAt, cpuSeconds, attempts, worker }: WorkDone,
  began: number,
): readonly string[] {
  const at = ((Date.parse(createdAt) - began) / 1000).toFixed(1);
  return [
    id,
    kind,
    state,
    at,
    between(createdAt, startedAt),
    between(startedAt, finishedAt),
    cpuSeconds.toFixed(1),
    number(attempts),
    worker ?? "–",
  ];
}

function between(from: string | null, to: string | null): string {
  return from === null || to === null ? "–" : ((Date.parse(to) - Date.parse(from)) / 1000).toFixed(1);
}
