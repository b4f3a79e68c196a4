/** Numbers as people read them. Pure. */

const ageFormat = new Intl.RelativeTimeFormat("en", { numeric: "always" });
const dateFormat = new Intl.DateTimeFormat("en", { dateStyle: "long", timeStyle: "short" });

/** 3723 → "1:02:03", 62 → "1:02". */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = `${h > 0 ? String(m).padStart(2, "0") : m}:${String(s).padStart(2, "0")}`;
  return h > 0 ? `${h}:${tail}` : tail;
}

const BYTE_UNITS = ["bytes", "kB", "MB", "GB", "TB"] as const;

/** Decimal units, three digits at most: 48234567 → "48.2 MB". */
export function formatBytes(bytes: number): string {
  let [value, unit] = [bytes, 0];
  // Rounded as it will be shown: 999,960 bytes are 1.0 MB, not 1000 kB.
  while (Number(value.toFixed(value < 99.95 ? 1 : 0)) >= 1000 && unit < BYTE_UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.95 ? value.toFixed(0) : value.toFixed(1)} ${BYTE_UNITS[unit]}`;
}

/** Rounded down: 100% is said only of what is finished. */
export function formatPercent(fraction: number): string {
  return `${Math.floor(Math.min(1, Math.max(0, fraction)) * 100)}%`;
}

/** 8 → "8 s left", 130 → "2 min left", 3900 → "1 h 5 min left". */
export function formatTimeLeft(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${Math.max(1, whole)} s left`;
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return `${minutes} min left`;
  const [h, m] = [Math.floor(minutes / 60), minutes % 60];
  return m === 0 ? `${h} h left` : `${h} h ${m} min left`;
}

/** Nothing of a video that nobody has watched yet. */
export function formatViews(views: number): string {
  if (views === 0) return "";
  return views === 1 ? "1 view" : `${new Intl.NumberFormat("en").format(views)} views`;
}

const AGES = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["week", 7 * 86_400],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
] as const;

/** "5 hours ago", "1 day ago", "just now". */
export function formatAge(createdAt: string, now: number): string {
  const seconds = (now - Date.parse(createdAt)) / 1000;
  const [unit, length] = AGES.find(([, unitSeconds]) => seconds >= unitSeconds) ?? [null, 0];
  return unit === null ? "just now" : ageFormat.format(-Math.floor(seconds / length), unit);
}

export function formatDate(date: string): string {
  return dateFormat.format(new Date(date));
}

const CODECS: Readonly<Record<string, string>> = {
  h264: "H.264",
  hevc: "H.265",
  av1: "AV1",
  vp8: "VP8",
  vp9: "VP9",
  mpeg2video: "MPEG-2",
  mpeg4: "MPEG-4",
  prores: "ProRes",
  aac: "AAC",
  mp3: "MP3",
  opus: "Opus",
  vorbis: "Vorbis",
  flac: "FLAC",
  ac3: "AC-3",
  eac3: "E-AC-3",
};

/** What ffmpeg calls a codec, as its owners spell it. */
export function formatCodec(name: string): string {
  return CODECS[name] ?? name;
}

/** A title to start with: the file's name without its ending, within the 200 characters that a title may have. */
export function titleOf(filename: string): string {
  const bare = filename.replace(/\.[A-Za-z0-9]{1,5}$/, "").trim();
  return (bare || filename).slice(0, 200);
}
