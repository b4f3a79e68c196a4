/** The poster, the storyboard, and single frames that somebody asks for. */
import { failure } from "../../kernel/errors.ts";
import { pictureCommand, stillCommand, storyboardCommand, type PlannedCommand } from "../domain/argv.ts";
import { failureOf, type Ended } from "../domain/ending.ts";
import type { PictureTask } from "../domain/plan.ts";
import { storyboardOf } from "../domain/storyboard.ts";
import { convert } from "../ffmpeg/convert.ts";
import { joinedSource, type Source } from "../ffmpeg/source.ts";
import { gather } from "./gather.ts";
import type { Hand, Ports, StoredBlob } from "./ports.ts";

const TIMEOUT_S = 600;
/** A JPEG of 1280 × 720 has 100 to 300 KB. */
const JPEG_BYTES_MAX = 4 * 1024 * 1024;

export async function takePicture(task: PictureTask, hand: Hand): Promise<void> {
  // A video that is dark from end to end has no bright picture: then the first one.
  const bright = await shoot(task, hand, true);
  const { ended, jpeg } = bright.jpeg.length > 0 ? bright : await shoot(task, hand, false);
  const failed = failureOf(ended, jpeg.length, "picture");
  if (failed) throw failed;
  await hand.ports.publishThumbnail(await hand.ports.put(jpeg));
  await hand.ports.finish();
}

/** Of a video that is stored, so that it costs next to nothing. */
export async function makeStoryboard(hand: Hand): Promise<void> {
  const { ports, means } = hand;
  const storyboard = storyboardOf(await ports.stored());
  const source = joinedSource(storyboard.parts, async (blob, start, end) => await ports.read(blob, start, end));
  const { ended, jpeg } = await develop(hand, storyboardCommand(storyboard, means), source);
  const failed = failureOf(ended, jpeg.length, "picture");
  if (failed) throw failed;
  const { columns, width, height, starts } = storyboard;
  await ports.publishStoryboard({ ...(await ports.put(jpeg)), columns, width, height, starts });
}

/** What developing a picture takes. */
interface Darkroom extends Pick<Hand, "tools" | "means" | "signal" | "spent"> {
  readonly ports: Pick<Ports, "read" | "put">;
}

export interface StillTask {
  readonly init: StoredBlob;
  readonly segment: StoredBlob;
  /** Of the segment, from 0. */
  readonly frame: number;
}

/** TRANSCODE_FAILED when the segment has no such frame. */
export async function takeStill({ init, segment, frame }: StillTask, darkroom: Darkroom): Promise<StoredBlob> {
  const { ports, means } = darkroom;
  const source = joinedSource([init, segment], async (blob, start, end) => await ports.read(blob, start, end));
  const { ended, jpeg } = await develop(darkroom, stillCommand(frame, means), source);
  // What it was taken from is our own: nothing of it is the source's fault.
  if (jpeg.length === 0) throw failure("TRANSCODE_FAILED", `The segment has no frame ${frame}.`, { data: { log: ended.log } });
  return await ports.put(jpeg);
}

async function shoot({ source, ...task }: PictureTask, hand: Hand, bright: boolean): Promise<Shot> {
  return await develop(hand, pictureCommand({ source, ...task }, hand.means, bright), hand.ports.open(source));
}

interface Shot {
  readonly ended: Ended;
  readonly jpeg: Uint8Array<ArrayBuffer>;
}

async function develop(
  { tools, signal, spent }: Pick<Hand, "tools" | "signal" | "spent">,
  command: PlannedCommand,
  source: Source,
): Promise<Shot> {
  let jpeg: Shot["jpeg"] = new Uint8Array(0);
  const ended = await convert({
    tools,
    signal,
    spent,
    command,
    timeoutS: TIMEOUT_S,
    source,
    async take(_name, bytes) {
      const gathered = await gather(bytes, JPEG_BYTES_MAX);
      if (!gathered) throw failure("TRANSCODE_FAILED", "The picture is larger than any should be.");
      jpeg = gathered;
    },
  });
  return { ended, jpeg };
}
