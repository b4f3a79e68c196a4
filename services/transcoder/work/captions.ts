/** The lines of text that come with a source, as captions. */
import { CAPTIONS_BYTES_MAX, mendedVtt } from "../../kernel/captions.ts";
import { CAPTIONS_SHIFT_S, captionsCommand } from "../domain/argv.ts";
import { failureOf } from "../domain/ending.ts";
import type { CaptionsTask } from "../domain/plan.ts";
import { convert } from "../ffmpeg/convert.ts";
import { gather } from "./gather.ts";
import type { Hand } from "./ports.ts";

/** They lie between the bytes of the picture, of which all are read. */
const TIMEOUT_S = 3600;

/** Answers the languages of which nothing is left: they hold no line, or more than captions ever do. */
export async function takeCaptions(task: CaptionsTask, { tools, ports, means, signal, spent }: Hand): Promise<readonly string[]> {
  const texts = new Map<string, Buffer | undefined>();
  const ended = await convert({
    tools,
    signal,
    spent,
    command: captionsCommand(task, means),
    timeoutS: TIMEOUT_S,
    source: ports.open(task.source),
    livesByReading: true,
    take: async (language, bytes) => void texts.set(language, await gather(bytes, CAPTIONS_BYTES_MAX)),
  });
  const failed = failureOf(ended, texts.size, "text");
  if (failed) throw failed;
  const empty: string[] = [];
  for (const [language, text] of texts) {
    const captions = text && mendedVtt(text, CAPTIONS_SHIFT_S);
    if (captions === undefined) empty.push(language);
    else await ports.publishCaptions({ language, ...(await ports.put(Buffer.from(captions))) });
  }
  await ports.finish();
  return empty;
}
