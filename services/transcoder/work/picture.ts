/** The poster. */
import { failure } from "../../kernel/errors.ts";
import { pictureCommand } from "../domain/argv.ts";
import { failureOf, type Ended } from "../domain/ending.ts";
import type { PictureTask } from "../domain/plan.ts";
import { convert } from "../ffmpeg/convert.ts";
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

async function shoot(
  { source, ...task }: PictureTask,
  { tools, means, ports, signal }: Hand,
  bright: boolean,
): Promise<{ ended: Ended; jpeg: Uint8Array<ArrayBuffer> }> {
  const parts: Uint8Array[] = [];
  const ended = await convert({
    tools,
    signal,
    command: pictureCommand({ source, ...task }, means, bright),
    timeoutS: TIMEOUT_S,
    source: { size: source.size, read: async (start, end) => await ports.read(source.blob, start, end) },
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
