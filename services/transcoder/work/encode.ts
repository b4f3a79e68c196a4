/** Spans and sound: what comes out of ffmpeg is cut into segments, stored, and published while ffmpeg goes on. */
import { audioCommand, spanCommand, type PlannedCommand } from "../domain/argv.ts";
import { CmafSplitter, type Position } from "../domain/cmaf.ts";
import { failureOf } from "../domain/ending.ts";
import { AUDIO_FRAME_RATE, passOf, piecesOf, soundCut, spanSegments, type AudioTask, type SpanTask } from "../domain/plan.ts";
import { perSecond } from "../domain/rate.ts";
import { convert } from "../ffmpeg/convert.ts";
import type { Hand } from "./ports.ts";
import { Publisher } from "./publisher.ts";

/** Wall clock for a job: something to start with, and for each second of video 50 times what the whole ladder takes on one core. */
const TIMEOUT = { baseS: 600, perSecond: 100 } as const;

export async function encodeSpan(task: SpanTask, hand: Hand): Promise<void> {
  const { now, later } = passOf(task);
  const all = task.renditions.length * task.span.frames;
  let done = (task.renditions.length - now.length - later.length) * task.span.frames;
  for (const piece of piecesOf({ ...task, renditions: now })) {
    const share = now.length * piece.span.frames;
    const before = done;
    await encodePiece(piece, { ...hand, progress: (part: number) => hand.progress((before + part * share) / all) });
    done += share;
    hand.made(share / task.renditions.length / perSecond(task.rate));
  }
  const [alone] = now;
  if (later.length > 0 && alone) await hand.ports.defer(alone.name);
  else await hand.ports.finish();
}

async function encodePiece(piece: SpanTask, hand: Hand): Promise<void> {
  const { span, rate, renditions } = piece;
  const { first, last } = spanSegments(piece);
  await encode(piece, hand, {
    command: spanCommand(piece, hand.means),
    what: "picture",
    position: { segment: first, frame: span.first, rate },
    seconds: span.frames / perSecond(rate),
    segments: renditions.length * (last - first + 1),
    frames: span.frames,
  });
}

export async function encodeAudio(task: AudioTask, hand: Hand): Promise<void> {
  const { span } = task;
  const { segment, frame } = soundCut(task);
  await encode(task, hand, {
    command: audioCommand(task, hand.means),
    what: "sound",
    position: { segment, frame, rate: AUDIO_FRAME_RATE },
    seconds: task.seconds,
    segments: span.segments,
    // The sound may be longer than was planned: then there are more segments at its end.
    kept: (number) => number >= span.segment && (span.last || number < span.segment + span.segments),
  });
  await hand.ports.finish();
}

interface Encoding {
  readonly command: PlannedCommand;
  readonly what: "picture" | "sound";
  readonly position: Position;
  readonly seconds: number;
  /** How many are planned, over all renditions. */
  readonly segments: number;
  /** How many each rendition has when nothing is missing, where ffmpeg does not fill up what is; default: nothing is known of them. */
  readonly frames?: number;
  /** Which of those that come out are of this span; default: all. */
  readonly kept?: (number: number) => boolean;
}

async function encode({ source }: SpanTask | AudioTask, hand: Hand, encoding: Encoding): Promise<void> {
  const { tools, ports, signal, spent } = hand;
  const outputs: Output[] = [];
  const stored = (): number => outputs.reduce((sum, output) => sum + output.segments, 0);
  const ended = await convert({
    tools,
    signal,
    spent,
    command: encoding.command,
    timeoutS: TIMEOUT.baseS + TIMEOUT.perSecond * encoding.seconds,
    source: ports.open(source),
    async take(name, bytes) {
      const output = new Output(name, encoding, hand);
      outputs.push(output);
      for await (const some of bytes) {
        await output.write(some);
        hand.progress(stored() / encoding.segments);
      }
    },
    isWhole: () => stored() >= encoding.segments && outputs.every(({ frames }) => frames >= (encoding.frames ?? 0)),
  });
  const failure = failureOf(ended, stored(), encoding.what);
  if (failure) throw failure;
  for (const output of outputs) await output.end();
}

/** One rendition on its way to the storage, in order: the next bytes are read when the segment before is durable. */
class Output {
  segments = 0;
  frames = 0;
  readonly #name: string;
  readonly #splitter: CmafSplitter;
  readonly #kept: (number: number) => boolean;
  readonly #hand: Hand;
  #publisher: Publisher | undefined;

  constructor(name: string, { position, kept = () => true }: Encoding, hand: Hand) {
    this.#name = name;
    this.#splitter = new CmafSplitter(position);
    this.#kept = kept;
    this.#hand = hand;
  }

  async write(bytes: Uint8Array): Promise<void> {
    const { ports, signal } = this.#hand;
    for (const part of this.#splitter.push(bytes)) {
      signal.throwIfAborted();
      if (part.kind === "segment" && !this.#kept(part.number)) continue;
      const { blob, size } = await ports.put(part.bytes);
      if (part.kind === "init") {
        this.#publisher = new Publisher(this.#name, part, { blob, size }, async (publication) => await ports.publish(publication));
      } else {
        await this.#publisher?.add({ number: part.number, blob, size, start: part.start, duration: part.duration });
        this.segments += 1;
        this.frames += part.samples;
      }
    }
  }

  /** To be called when ffmpeg has ended well: a stream that was cut off ends inside of a box. */
  async end(): Promise<void> {
    this.#splitter.end();
    await this.#publisher?.drain();
  }
}
