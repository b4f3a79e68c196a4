/** One run of ffmpeg between the storage and the storage: a source that it can seek in, outputs that are read while they are written. */
import { failure } from "../../kernel/errors.ts";
import type { PlannedCommand } from "../domain/argv.ts";
import type { Ended } from "../domain/ending.ts";
import { Countdown } from "./countdown.ts";
import { CpuMeter } from "./meter.ts";
import { runFfmpeg } from "./run.ts";
import { removeFolder, type Tools } from "./sandbox.ts";
import { openSink, type Sink } from "./sink.ts";
import { serveSource, type ServedSource, type Source } from "./source.ts";

/** Nothing came out (or was read, where little comes out) for so long: a fragment of the largest ladder takes a slow machine less than a minute. */
const STALL_MS = 10 * 60_000;

export interface Conversion {
  readonly tools: Tools;
  readonly source: Source;
  readonly command: PlannedCommand;
  readonly timeoutS: number;
  readonly signal: AbortSignal;
  /** Whether what is read of the source shows that it goes on: lines of text may be an hour apart. Default: no, what comes out does. */
  readonly livesByReading?: boolean;
  /** Is told, when it is gone, what ffmpeg has taken of processors, s. */
  readonly spent?: (cpuS: number) => void;
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
  // Before anything is opened or watched: it may take long.
  await tools.turn.mayBegin(signal);
  const folder = await tools.folder();
  const broken = new AbortController();
  const sinks = new Map<string, Sink>();
  const meter = new CpuMeter();
  const watch = watchFlow(() => broken.abort(failure("TRANSCODE_TIMEOUT", "The conversion stood still.")));
  let source: ServedSource | undefined;
  try {
    source = await serveSource(conversion.source, conversion.livesByReading ? watch.flows : undefined);
    const { url, asked } = source;
    for (const { name } of command.outputs) {
      const take = async (bytes: AsyncIterable<Uint8Array>): Promise<void> =>
        await conversion.take(
          name,
          watch.pass(bytes, () => meter.look()),
        );
      sinks.set(name, await openSink(folder, name, take, (error) => broken.abort(error)));
    }
    const ended = await runFfmpeg({
      ...conversion,
      launcher: tools.ffmpeg,
      turn: tools.turn,
      running: asked,
      onTurn: watch.turn,
      meter,
      folder,
      input: url,
      target: (name) => sinks.get(name)?.target ?? "",
      signal: AbortSignal.any([signal, broken.signal]),
    });
    if (ended.by === 0) await Promise.all([...sinks.values()].map(async (sink) => await sink.drained()));
    broken.signal.throwIfAborted();
    source.throwFailure(ended.by === 0 && conversion.isWhole?.());
    return ended;
  } finally {
    watch.end();
    conversion.spent?.(meter.seconds);
    await Promise.all([...sinks.values(), source].map(async (opened) => await opened?.close()));
    await removeFolder(folder);
  }
}

/** Calls `onStall` once nothing has passed for a while in which ffmpeg could run. */
function watchFlow(onStall: () => void) {
  const left = new Countdown(STALL_MS, onStall);
  const flows = (): void => left.renew();
  return {
    flows,
    async *pass(bytes: AsyncIterable<Uint8Array>, onEnd: () => void): AsyncGenerator<Uint8Array> {
      for await (const some of bytes) {
        flows();
        yield some;
      }
      onEnd();
    },
    turn: (stopped: boolean) => left.turn(stopped),
    end: () => left.end(),
  };
}
