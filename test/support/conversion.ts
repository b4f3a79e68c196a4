/** The whole work of a transcoder on one source, with a storage and a catalogue in memory. */
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { taskOf, type Plan, type PlannedTask, type TaskKind } from "../../services/transcoder/domain/plan.ts";
import type { SourceFacts } from "../../services/transcoder/domain/facts.ts";
import type { Tools } from "../../services/transcoder/ffmpeg/sandbox.ts";
import { takeCaptions } from "../../services/transcoder/work/captions.ts";
import { encodeAudio, encodeSpan } from "../../services/transcoder/work/encode.ts";
import { inspect } from "../../services/transcoder/work/inspect.ts";
import { takePicture } from "../../services/transcoder/work/picture.ts";
import type { Hand, Ports, Publication, SegmentRow, StoredBlob } from "../../services/transcoder/work/ports.ts";

export const LIMITS = { secondsMax: 3600, pixelsMax: 35_389_440 };

export interface Made {
  readonly facts: SourceFacts;
  readonly plan: Plan;
  /** By rendition, in the order of the numbers. */
  readonly published: ReadonlyMap<string, { readonly head: Publication; readonly segments: readonly SegmentRow[] }>;
  readonly thumbnail: Uint8Array | undefined;
  /** What the jobs said of themselves. */
  readonly progress: readonly number[];
  /** Jobs that ended well. */
  readonly finished: readonly string[];
}

export class Workshop {
  readonly blobs = new Map<string, Uint8Array>();
  readonly #tools: Tools;
  /** Ports that behave otherwise. */
  readonly faults: Partial<Ports>;

  constructor(tools: Tools, faults: Partial<Ports> = {}) {
    this.#tools = tools;
    this.faults = faults;
  }

  store(bytes: Uint8Array): StoredBlob {
    const blob = createHash("sha256").update(bytes).digest("hex");
    this.blobs.set(blob, bytes);
    return { blob, size: bytes.length };
  }

  bytesOf(blob: string): Uint8Array {
    const bytes = this.blobs.get(blob);
    if (!bytes) throw new Error(`There is no blob ${blob}.`);
    return bytes;
  }

  /** Inspects the file, then does all jobs of its plan; several workers take them as they come, as in a cluster. */
  async convert(
    path: string,
    {
      signal = new AbortController().signal,
      workers = 1,
      ...settings
    }: { signal?: AbortSignal; workers?: number; segmentSeconds?: number } = {},
  ): Promise<Made> {
    const source = this.store(await readFile(path));
    const { facts, plan } = await this.plan(source, settings, signal);
    const made = {
      published: new Map(),
      progress: [] as number[],
      finished: [] as string[],
      thumbnail: undefined as Uint8Array | undefined,
    };
    const work = async ({ kind, payload }: PlannedTask): Promise<void> => {
      const hand = this.hand(signal, {
        publish: async ({ segments, ...head }) => {
          const known = made.published.get(head.rendition) ?? { head, segments: [] };
          if (known.head.init.blob !== head.init.blob) throw new Error(`Two spans of ${head.rendition} were not encoded alike.`);
          const all = [...known.segments, ...segments].toSorted((a: SegmentRow, b: SegmentRow) => a.number - b.number);
          made.published.set(head.rendition, { head, segments: all });
        },
        publishThumbnail: async ({ blob }) => void (made.thumbnail = this.bytesOf(blob)),
        finish: async () => void made.finished.push(kind),
      });
      // A job's payload has been through the database and the network.
      await doTask(kind, JSON.parse(JSON.stringify(payload)), { ...hand, progress: (done) => void made.progress.push(done) });
    };
    const waiting = [...plan.tasks];
    const worker = async (): Promise<void> => {
      for (let task = waiting.shift(); task; task = waiting.shift()) await work(task);
    };
    await Promise.all(Array.from({ length: workers }, worker));
    return { facts, plan, ...made };
  }

  async plan(
    source: StoredBlob,
    settings: { segmentSeconds?: number } = {},
    signal = new AbortController().signal,
  ): Promise<{ facts: SourceFacts; plan: Plan }> {
    let planned: { facts: SourceFacts; plan: Plan } | undefined;
    const applyPlan = async (facts: SourceFacts, plan: Plan) => void (planned = { facts, plan });
    await inspect(source, this.hand(signal, { applyPlan }), { limits: LIMITS, preset: "ultrafast", startPriority: 1000, ...settings });
    if (!planned) throw new Error("The inspection ended without a plan.");
    return planned;
  }

  hand(signal: AbortSignal, ports: Partial<Ports>): Hand {
    const stored: Ports["read"] = async (blob, start, end) => Readable.from(pieces(this.bytesOf(blob).subarray(start, end)));
    const read = this.faults.read ?? ports.read ?? stored;
    return {
      tools: this.#tools,
      means: { pixelsMax: LIMITS.pixelsMax, threads: 1, ...this.#tools.programs.abilities },
      signal,
      progress: () => {},
      spent: () => {},
      made: () => {},
      ports: {
        read,
        open: ({ blob = "", size }) => ({ size, read: async (start, end) => await read(blob, start, end) }),
        put: async (bytes) => this.store(bytes),
        begin: nothing,
        applyPlan: nothing,
        reuse: async () => false,
        foresee: nothing,
        lookAgain: nothing,
        planAnew: nothing,
        publish: nothing,
        publishThumbnail: nothing,
        publishCaptions: nothing,
        stored: async () => await Promise.reject(new Error("No job of a plan asks for what is stored.")),
        publishStoryboard: nothing,
        defer: nothing,
        finish: nothing,
        ...ports,
        ...this.faults,
      },
    };
  }

  /** Writes a rendition as one file that any player plays. */
  async assemble({ published }: Made, rendition: string, folder: string): Promise<string> {
    const { head, segments } = published.get(rendition) ?? {};
    if (!head || !segments) throw new Error(`There is no rendition ${rendition}.`);
    const path = join(folder, `${rendition}.mp4`);
    await writeFile(path, Buffer.concat([head.init, ...segments].map(({ blob }) => this.bytesOf(blob))));
    return path;
  }
}

export async function doTask(kind: TaskKind, payload: unknown, hand: Hand): Promise<void> {
  if (kind === "video.span") await encodeSpan(taskOf(kind, payload), hand);
  else if (kind === "video.audio") await encodeAudio(taskOf(kind, payload), hand);
  else if (kind === "video.captions") await takeCaptions(taskOf(kind, payload), hand);
  else await takePicture(taskOf(kind, payload), hand);
}

const nothing = async (): Promise<void> => {};

/** As the disks give them: verified pieces. */
function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 256 * 1024) yield bytes.subarray(at, at + 256 * 1024);
}
