/** An upload whose last byte has a time. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { request, type IncomingMessage } from "node:http";
import { basename } from "node:path";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { freeBox } from "../../test/support/media.ts";

export interface Uploaded {
  readonly id: string;
  /** When the last byte was handed to the network, and when the answer was there: ms of the wall clock, as the browser's. */
  readonly lastByteAt: number;
  readonly answeredAt: number;
}

export async function upload(url: string, film: string): Promise<Uploaded> {
  // The same bytes would not be converted again.
  const box = freeBox();
  const size = (await stat(film)).size + box.length;
  const post = request(`${url}/api/v1/videos/upload?title=${basename(film)}`, {
    method: "POST",
    headers: { "content-type": "video/mp4", "x-filename": basename(film), "content-length": size },
  });
  let lastByteAt = 0;
  post.once("finish", () => (lastByteAt = wallClock()));
  const answer = new Promise<IncomingMessage>((resolve, reject) => post.once("response", resolve).once("error", reject));
  await pipeline(async function* () {
    yield* createReadStream(film) as AsyncIterable<Buffer>;
    yield box;
  }, post);
  const response = await answer;
  const body = await text(response);
  if (response.statusCode !== 202) throw new Error(`the upload was answered ${response.statusCode}: ${body}`);
  return { id: (JSON.parse(body) as { data: { id: string } }).data.id, lastByteAt, answeredAt: wallClock() };
}

/** Milliseconds since 1970, with their fractions. */
export const wallClock = (): number => performance.timeOrigin + performance.now();
