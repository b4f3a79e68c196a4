import { errorType } from "../../../services/kernel/errors.ts";
import type { SourceFacts } from "../../../services/transcoder/domain/facts.ts";
import {
  ageOf,
  type AudioTask,
  PLAN_VERSION,
  piecesOf,
  planOf,
  segmentFrames,
  soundCut,
  spanStarts,
  type SpanTask,
  taskOf,
} from "../../../services/transcoder/domain/plan.ts";

const settings = { preset: "veryfast", startPriority: 1000 };
const blob = { blob: "ab".repeat(32), size: 1000, demuxer: "mov" } as const;

function facts(
  about: Partial<SourceFacts["picture"]> = {},
  sound: SourceFacts["sound"] = { stream: 1, codec: "aac", seconds: 10, exact: true },
): SourceFacts {
  return {
    container: "mp4",
    startS: 0,
    originS: 0,
    durationS: 10,
    seekable: true,
    picture: {
      stream: 0,
      codec: "h264",
      width: 1280,
      height: 720,
      rate: [30, 1],
      frames: 300,
      steady: true,
      interlaced: false,
      hdr: false,
      matrix: "bt709",
      ...about,
    },
    sound,
    texts: [],
  };
}

describe("a plan", () => {
  const plan = planOf(facts(), blob, settings);

  it("promises every rendition with the length of its segments, the first of which are short", () => {
    const runs = [
      [4, 30],
      [1, 120],
      [1, 60],
    ];
    const picture = { kind: "video", rate: [30, 1], runs };
    expect(plan.renditions).toEqual([
      { name: "720p", width: 1280, height: 720, ...picture },
      { name: "480p", width: 854, height: 480, ...picture },
      { name: "360p", width: 640, height: 360, ...picture },
      { name: "240p", width: 426, height: 240, ...picture },
      {
        name: "audio",
        kind: "audio",
        width: 0,
        height: 0,
        rate: [48_000, 1024],
        runs: [
          [2, 188],
          [1, 94],
        ],
      },
    ]);
  });

  it("is one task for each span of the sound and of the picture, one for the poster", () => {
    expect(plan.tasks.map(({ kind }) => kind)).toEqual([
      "video.audio",
      "video.audio",
      "video.span",
      "video.span",
      "video.span",
      "video.picture",
    ]);
    expect(planOf(facts({}, null), blob, settings).tasks.map(({ kind }) => kind)).toEqual([
      "video.span",
      "video.span",
      "video.span",
      "video.picture",
    ]);
  });

  it("says which segments each task makes", () => {
    expect(plan.tasks.map(({ segments }) => segments)).toEqual([
      { first: 1, last: 2 },
      { first: 3, last: 3 },
      { first: 1, last: 4 },
      { first: 5, last: 5 },
      { first: 6, last: 6 },
      undefined,
    ]);
  });

  it("covers every frame with its spans, each of which begins a segment", () => {
    const spans = plan.tasks.filter(({ kind }) => kind === "video.span").map(({ payload }) => taskOf("video.span", payload));
    let next = 0;
    let segment = 1;
    for (const { span, framesPerSegment } of spans) {
      expect(span).toMatchObject({ first: next, segment });
      next += span.frames;
      segment += Math.ceil(span.frames / framesPerSegment);
    }
    expect(next).toBe(300);
    expect(spans.map(({ span }) => span.last)).toEqual([...spans.slice(1).map(() => false), true]);
  });

  const heardTasks = ({ exact }: { exact: boolean }): AudioTask[] =>
    planOf(facts({}, { stream: 1, codec: "aac", seconds: 3600, exact }), blob, settings)
      .tasks.filter(({ kind }) => kind === "video.audio")
      .map(({ payload }) => taskOf("video.audio", payload));

  it("makes sound in one piece whose times are not those of its samples: joints would be some samples beside", () => {
    expect(heardTasks({ exact: false }).map(({ span }) => span)).toEqual([{ segment: 1, segments: 898, last: true }]);
  });

  it("begins a later span of the sound a segment early, on the grid of AAC's frames", () => {
    const cuts = heardTasks({ exact: true }).map((task) => ({ ...task.span, ...soundCut(task) }));
    expect(cuts.slice(0, 3)).toEqual([
      { segment: 1, segments: 2, last: false, frame: 0, fromS: 0, samples: (2 * 188 + 4) * 1024 },
      { segment: 2, segments: 4, last: false, frame: 188, fromS: (188 * 1024) / 48_000, samples: (5 * 188 + 4) * 1024 },
      { segment: 6, segments: 8, last: false, frame: 5 * 188, fromS: (5 * 188 * 1024) / 48_000, samples: (9 * 188 + 4) * 1024 },
    ]);
    const { frame = 0, samples = 0 } = cuts.at(-1) ?? {};
    expect(frame * 1024 + samples).toBe(3600 * 48_000);
    expect(Math.max(...cuts.map(({ segments }) => segments))).toBe(15);
  });

  it("survives the queue, and stays small", () => {
    for (const { kind, payload } of plan.tasks) {
      const text = JSON.stringify(payload);
      expect(text.length).toBeLessThan(4096);
      expect(taskOf(kind, JSON.parse(text))).toEqual(payload);
    }
  });

  it("of twelve hours fits into one message", () => {
    const hours = { ...facts({ width: 1920, height: 1080, frames: 12 * 3600 * 30 }), durationS: 12 * 3600 };
    expect(JSON.stringify(planOf(hours, blob, settings)).length).toBeLessThan(256 * 1024);
  });

  it.each([
    [1, [[1, 1]]],
    [120, [[4, 30]]],
    [150, [[5, 30]]],
    [
      179,
      [
        [5, 30],
        [1, 29],
      ],
    ],
    [
      180,
      [
        [4, 30],
        [1, 60],
      ],
    ],
  ])("cuts a short video of %d frames into %j", (frames, runs) => {
    const { renditions, tasks } = planOf(facts({ frames }), blob, settings);
    expect(renditions[0]?.runs).toEqual(runs);
    expect(tasks.filter(({ kind }) => kind === "video.span").length).toBe(frames < 180 ? 1 : 2);
  });

  it("is one span for a source in the middle of which nobody can begin", () => {
    const { tasks } = planOf({ ...facts(), seekable: false }, blob, settings);
    expect(tasks.map(({ kind }) => kind)).toEqual(["video.audio", "video.span", "video.picture"]);
    expect(taskOf("video.audio", tasks[0]?.payload).source.seekable).toBe(false);
  });

  it("lets the first span of every video go before the second of any", () => {
    const spans = plan.tasks.filter(({ kind }) => kind === "video.span");
    expect(spans.map(({ priority }) => priority)).toEqual([1000, 999, 998]);
  });

  it("tells by its version which program made it", () => {
    const task = plan.tasks[0]?.payload;
    const ages = [task, { ...task, version: PLAN_VERSION - 1 }, { ...task, version: PLAN_VERSION + 1 }, {}, null].map(ageOf);
    expect(ages).toEqual(["same", "older", "newer", "older", "older"]);
  });

  it("is not believed where it is not what this version plans", () => {
    expect(errorType(thrownBy(() => taskOf("video.audio", { ...plan.tasks[0]?.payload, seconds: -1 })))).toBe("TRANSCODE_FAILED");
  });
});

function thrownBy(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}

/** In segments. */
const lengths = (segments: number): number[] => {
  const starts = [...spanStarts(segments), segments];
  return starts.slice(1).map((end, index) => end - (starts[index] ?? 0));
};

const spans = (seekable: boolean): SpanTask[] =>
  planOf({ ...facts(), seekable }, blob, settings)
    .tasks.filter(({ kind }) => kind === "video.span")
    .map(({ payload }) => taskOf("video.span", payload));

describe("what is encoded in a process of its own", () => {
  it("is the first segment of a video, which nothing then waits behind, and what is left of its span", () => {
    const [start] = spans(true);
    expect(piecesOf(start!).map(({ span }) => span)).toEqual([
      { index: 0, first: 0, frames: 30, segment: 1, last: false },
      { index: 0, first: 30, frames: 90, segment: 2, last: false },
    ]);
  });

  it("is, where somebody leaps into a span, what comes from there on, and then what lies before it", () => {
    const [, , later] = planOf(facts({ frames: 3000 }), blob, settings)
      .tasks.filter(({ kind }) => kind === "video.span")
      .map(({ payload }) => taskOf("video.span", payload));
    expect(later?.span).toEqual({ index: 2, first: 240, frames: 240, segment: 6, last: false });
    expect(piecesOf({ ...later!, from: 7 }).map(({ span }) => span)).toEqual([
      { index: 2, first: 360, frames: 120, segment: 7, last: false },
      { index: 2, first: 240, frames: 120, segment: 6, last: false },
    ]);
    expect(piecesOf({ ...later!, from: 6 })).toEqual([{ ...later, from: 6 }]);
  });

  it("is every later span, and a source in the middle of which nobody can begin", () => {
    const [, later] = spans(true);
    const [whole] = spans(false);
    expect(piecesOf(later!)).toEqual([later]);
    expect(piecesOf(whole!)).toEqual([whole]);
  });
});

describe("the spans", () => {
  it("are one segment first, then two", () => {
    expect([1, 2, 3, 4, 8].map(lengths)).toEqual([[1], [1, 1], [1, 2], [1, 2, 1], [1, 2, 2, 2, 1]]);
  });

  it("of a film grow until there are few enough of them for one plan", () => {
    expect(lengths(12 * 900).slice(0, 7)).toEqual([1, 2, 4, 8, 16, 32, 45]);
    for (let segments = 1; segments <= 12 * 900; segments += 1 + Math.floor(segments / 50)) {
      expect(lengths(segments).reduce((sum, length) => sum + length, 0)).toBe(segments);
      expect(Math.min(...lengths(segments))).toBeGreaterThan(0);
      expect(lengths(segments).length).toBeLessThanOrEqual(306);
    }
  });
});

describe("the length of segments", () => {
  it.each([
    [300, [30, 1], 120],
    [1, [30, 1], 120],
    [240, [30, 1], 120],
    [75, [25, 1], 100],
    [4, [1, 1], 4],
    [1_000_000, [60_000, 1001], 240],
  ] as const)("of %d frames at %j is %d frames", (frames, rate, expected) => {
    expect(segmentFrames(frames, rate)).toBe(expected);
  });

  it("is near 4 s, and never leaves a sliver at the end", () => {
    for (let frames = 1200; frames < 2400; frames++) {
      const length = segmentFrames(frames, [30, 1]);
      expect(Math.abs(length - 120)).toBeLessThanOrEqual(12);
      expect(frames % length === 0 || frames % length >= length / 2).toBe(true);
    }
  });
});
