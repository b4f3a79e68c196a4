/** The storyboard as WebVTT: for each stretch of time, which part of the picture shows it (Media Fragments, `#xywh`). */

interface Storyboard {
  readonly columns: number;
  readonly width: number;
  readonly height: number;
  /** Seconds. */
  readonly starts: readonly number[];
  readonly duration: number;
}

/** `picture` is the address of the pictures, relative to that of this document. */
export function storyboardVtt({ columns, width, height, starts, duration }: Storyboard, picture: string): string {
  const cues = starts.map((start, tile) => {
    const end = starts[tile + 1] ?? Math.max(duration, start);
    const [x, y] = [(tile % columns) * width, Math.floor(tile / columns) * height];
    return `${timeOf(start)} --> ${timeOf(end)}\n${picture}#xywh=${x},${y},${width},${height}\n`;
  });
  return ["WEBVTT\n", ...cues].join("\n");
}

const part = (value: number, digits: number): string => String(Math.floor(value)).padStart(digits, "0");

/** hh:mm:ss.mmm */
function timeOf(seconds: number): string {
  const ms = Math.round(seconds * 1000);
  return `${part(ms / 3_600_000, 2)}:${part((ms / 60_000) % 60, 2)}:${part((ms / 1000) % 60, 2)}.${part(ms % 1000, 3)}`;
}
