/** Words of the live connection: what a client asks for, and what it is told. */
import { createHash } from "node:crypto";
import { z } from "zod";
import { failure } from "../../kernel/errors.ts";

/** A page of a list with everything on it. */
const TOPICS_PER_MESSAGE = 100;

const topic = z
  .string()
  .regex(/^(?:video|upload):[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, "is video: or upload: and an id");
const topics = z.array(topic).max(TOPICS_PER_MESSAGE).default([]);
const wish = z.strictObject({ subscribe: topics, unsubscribe: topics });
export type LiveWish = z.output<typeof wish>;

/** INVALID_REQUEST. */
export function wishOf(text: string): LiveWish {
  const parsed = wish.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  throw failure("INVALID_REQUEST", 'Send {"subscribe": ["video:ID", "upload:ID"]}, or unsubscribe.');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The present state behind a topic: what `GET` would answer. */
export type LiveState = Readonly<Record<string, unknown>>;

/** What a state is called that follows another; undefined when it is the same. */
export function liveEvent(name: string, before: LiveState | undefined, state: LiveState): string | undefined {
  if (before && JSON.stringify(before) === JSON.stringify(state)) return undefined;
  if (name.startsWith("upload:")) return "upload.progress";
  if (!before) return "video.status";
  if (before["status"] === state["status"]) return "video.progress";
  const { status } = state;
  return status === "ready" || status === "failed" || status === "deleted" ? `video.${status}` : "video.status";
}

/** The last state of what is not there any more. */
export function goneState(name: string, before: LiveState): LiveState {
  return name.startsWith("upload:") ? { ...before, state: "removed" } : { id: name.slice("video:".length), status: "deleted" };
}

/** Whether nothing more will happen to it by itself. */
export function isSettled(state: LiveState): boolean {
  return ["ready", "failed", "deleted"].includes(String(state["status"])) || ["stored", "removed"].includes(String(state["state"]));
}

/** The same for the same state, wherever and whenever it is read. */
export function stateName(state: LiveState): string {
  return createHash("sha256").update(JSON.stringify(state)).digest("base64url").slice(0, 22);
}

/** JSON has no line feed, so it is one line. */
export function serverSentEvent(event: string, data: LiveState, at: Date): string {
  return `id: ${stateName(data)}\nevent: ${event}\ndata: ${JSON.stringify({ at: at.toISOString(), data })}\n\n`;
}
