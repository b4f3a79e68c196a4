/** Work that waits, that is done and that has failed, and what is told of it as it happens. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Context } from "moleculer";
import { jobs, jobState, type JobEntry } from "../../services/jobs/contract.ts";
import { failure } from "../../services/kernel/errors.ts";
import { onlyPerson as as } from "../../services/kernel/principal.ts";
import { call, type Caller } from "../../services/kernel/rpc.ts";
import { videos } from "../../services/videos/contract.ts";
import type { Given, Output, Through } from "./command.ts";
import { moment } from "./describe.ts";
import { duration, number, table } from "./text.ts";

/** Jobs that one command shows: the newest. */
const JOBS_SHOWN = 50;

export async function queue(caller: Caller, { words: [state] }: Given): Promise<Output> {
  return state === undefined ? await depths(caller) : await newest(caller, state);
}

async function depths(caller: Caller): Promise<Output> {
  const depth = await call(caller, jobs.depth, {});
  const lines = depth.map(({ kind, queued, running, failed, oldestS }) => [
    kind,
    number(queued),
    number(running),
    number(failed),
    oldestS === 0 ? "–" : duration(oldestS),
  ]);
  return { data: { jobs: depth }, text: table(["kind", "queued", "running", "failed", "longest wait"], lines) };
}

async function newest(caller: Caller, word: string): Promise<Output> {
  const state = jobState.safeParse(word);
  if (!state.success) throw failure("INVALID_REQUEST", `"${word}" is no state of a job: say ${jobState.options.join(", ")}.`);
  const found = await call(caller, jobs.list, { state: state.data, limit: JOBS_SHOWN });
  const text =
    found.length === 0 ? `no job is ${state.data}` : table(["job", "kind", "video", "attempts", "since", "failure"], found.map(lineOf));
  return { data: { jobs: found }, text };
}

function lineOf({ id, kind, videoId, attempts, createdAt, failure: why }: JobEntry): readonly string[] {
  return [id, kind, videoId ?? "–", String(attempts), moment(createdAt), why === null ? "" : `${why.type}: ${why.message}`];
}

/** Of a video that failed, all that is left is done again with it. */
export async function retry(caller: Caller, { words: [id = ""] }: Given): Promise<Output> {
  if (!jobs.retry.params.shape.id.safeParse(id).success)
    throw failure("INVALID_REQUEST", `"${id}" is no id of a job: "jobs failed" lists them.`);
  const { kind, videoId } = await call(caller, jobs.get, { id });
  if (videoId === null) await call(caller, jobs.retry, { id });
  else await call(caller, videos.retryJob, { as, id: videoId, job: id });
  return { data: { job: id, kind, videoId }, text: `the job ${id} (${kind}) is tried again` };
}

/** Events as they are told, until the operator goes. They are lost while nobody listens. */
export async function events(through: Through, { following, json }: Given): Promise<Output> {
  const heard = ({ eventName, params }: Context): void => {
    // Moleculer's own.
    if (eventName?.startsWith("$") !== false) return;
    const at = new Date().toISOString();
    following.say(json ? JSON.stringify({ at, event: eventName, payload: params }) : `${at}  ${eventName}  ${JSON.stringify(params)}`);
  };
  const listener = through.createService({ name: `$operator-${process.hrtime.bigint()}`, events: { "**": heard } });
  try {
    await gone(following.signal);
  } finally {
    await through.destroyService(listener);
  }
  return { data: {}, text: "" };
}

/** Longer than anybody looks on; a promise alone would not keep a process alive. */
const LOOK_ON_MS = 24 * 3600 * 1000;

async function gone(signal: AbortSignal): Promise<void> {
  await sleep(LOOK_ON_MS, undefined, { signal }).catch(() => undefined);
}
