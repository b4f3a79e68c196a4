/** One run of ffmpeg between the storage and the storage: a source that it can seek in, outputs that are read while they are written. */
import { failure } from "../../kernel/errors.ts";
import type { PlannedCommand } from "../domain/argv.ts";
import type { Ended } from "../domain/ending.ts";
import { runFfmpeg } from "./run.ts";
import { removeFolder, type Tools } from "./sandbox.ts";
import { openSink, type Sink } from "./sink.ts";
import { serveSource, type Source } from "./source.ts";

/** Nothing came out for so long: a fragment of the largest ladder takes a slow machine less than a minute. */
const STALL_MS = 10 * 60_000;

export interface Conversion {
  readonly tools: Tools;
  readonly source: Source;
  readonly command: PlannedCommand;
  readonly timeoutS: number;
  readonly signal: AbortSignal;
  /** Reads one output to its end. When it throws, ffmpeg is ended, and this is why the conversion failed. */
  take(name: string, bytes: AsyncIterable<Uint8Array>): Promise<void>;
  /** Whether everything that was wanted has been taken, so that no byte of the source was missing. Asked when ffmpeg has ended well; default: no. */
  isWhole?(): boolean;
}

/**
 * Answers how ffmpeg ended, when it is gone and everything it wrote has been taken. Rejects with the reason of the signal, with what `take` or
 * the source threw, or with TRANSCODE_TIMEOUT. Leaves no process, no socket and no file.
 */
export async function convert(conversion: Conversion): Promise<Ended> {
  const { tools, command, signal } = conversion;
  const folder = await tools.folder();
  const source = await serveSource(conversion.source);
  const broken = new AbortController();
  const sinks = new Map<string, Sink>();
  const watch = watchOutput(() => broken.abort(failure("TRANSCODE_TIMEOUT", "The conversion stood still.")));
  try {
    for (const { name } of command.outputs) {
      const take = async (bytes: AsyncIterable<Uint8Array>): Promise<void> => await conversion.take(name, watch.pass(bytes));
      sinks.set(name, await openSink(folder, name, take, (error) => broken.abort(error)));
    }
    const ended = await runFfmpeg({
      ...conversion,
      launcher: tools.ffmpeg,
      turn: tools.turn,
      running: source.asked,
      folder,
      input: source.url,
      target: (name) => sinks.get(name)?.target ?? "",
      signal: AbortSignal.any([signal, broken.signal]),
    });
    if (ended.by === 0) await Promise.all([...sinks.values()].map(async (sink) => await sink.drained()));
    broken.signal.throwIfAborted();
    source.throwFailure(ended.by === 0 && conversion.isWhole?.());
    return ended;
  } finally {
    watch.end();
    await Promise.all([...sinks.values(), source].map(async (opened) => await opened.close()));
    await removeFolder(folder);
  }
}

/** Calls `onStall` once no output has passed for a while. */
function watchOutput(onStall: () => void) {
  const timer = setTimeout(onStall, STALL_MS);
  return {
    async *pass(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const some of bytes) {
        timer.refresh();
        yield some;
      }
    },
    end: () => clearTimeout(timer),
  };
}
