/** The poster and the storyboard. */
import { failure } from "../../kernel/errors.ts";
import { pictureCommand, storyboardCommand, type PlannedCommand } from "../domain/argv.ts";
import { failureOf, type Ended } from "../domain/ending.ts";
import type { PictureTask } from "../domain/plan.ts";
import { storyboardOf } from "../domain/storyboard.ts";
import { convert } from "../ffmpeg/convert.ts";
import { joinedSource, type Source } from "../ffmpeg/source.ts";
import type { Hand } from "./ports.ts";

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

async function shoot({ source, ...task }: PictureTask, hand: Hand, bright: boolean): Promise<Shot> {
  const { size, blob } = source;
  const stored = { size, read: async (start: number, end: number) => await hand.ports.read(blob, start, end) };
  return await develop(hand, pictureCommand({ source, ...task }, hand.means, bright), stored);
}

interface Shot {
  readonly ended: Ended;
  readonly jpeg: Uint8Array<ArrayBuffer>;
}

async function develop({ tools, signal }: Hand, command: PlannedCommand, source: Source): Promise<Shot> {
  const parts: Uint8Array[] = [];
  const ended = await convert({
    tools,
    signal,
    command,
    timeoutS: TIMEOUT_S,
    source,
    async take(_name, bytes) {
      let length = 0;
      for await (const some of bytes) {
        length += some.length;
        if (length > JPEG_BYTES_MAX) throw failure("TRANSCODE_FAILED", "The picture is larger than any picture should be.");
        parts.push(some);
      }
    },
  });
  return { ended, jpeg: Buffer.concat(parts) };
}
