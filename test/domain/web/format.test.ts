/** Numbers as the page shows them. */
import { formatAge, formatBytes, formatDuration, formatPercent, formatTimeLeft, formatViews, titleOf } from "../../../web/src/format.ts";

it.each([
  [0, "0:00"],
  [59.6, "1:00"],
  [62, "1:02"],
  [3723, "1:02:03"],
])("shows %d seconds as %s", (seconds, shown) => {
  expect(formatDuration(seconds)).toBe(shown);
});

it.each([
  [0, "0 bytes"],
  [999, "999 bytes"],
  [1000, "1.0 kB"],
  [999_940, "1.0 MB"],
  [48_234_567, "48.2 MB"],
  [99_960_000, "100 MB"],
  [3_812_000_000, "3.8 GB"],
  [2e15, "2000 TB"],
])("shows %d bytes as %s", (bytes, shown) => {
  expect(formatBytes(bytes)).toBe(shown);
});

it("says how many have watched, where anybody has", () => {
  expect([0, 1, 1234].map(formatViews)).toEqual(["", "1 view", "1,234 views"]);
});

it("says 100% only of what is finished", () => {
  expect([0, 0.42, 0.999_999, 1, 1.2, -1].map(formatPercent)).toEqual(["0%", "42%", "99%", "100%", "100%", "0%"]);
});

it.each([
  [0.2, "1 s left"],
  [59.4, "1 min left"],
  [130, "2 min left"],
  [3600, "1 h left"],
  [3900, "1 h 5 min left"],
])("shows a wait of %d seconds as %s", (seconds, shown) => {
  expect(formatTimeLeft(seconds)).toBe(shown);
});

it.each([
  [0, "just now"],
  [-30, "just now"],
  [59, "just now"],
  [60, "1 minute ago"],
  [5 * 3600, "5 hours ago"],
  [86_400, "1 day ago"],
  [20 * 86_400, "2 weeks ago"],
  [800 * 86_400, "2 years ago"],
])("shows an age of %d seconds as %s", (seconds, shown) => {
  const now = Date.parse("2026-11-22T12:00:00Z");
  expect(formatAge(new Date(now - seconds * 1000).toISOString(), now)).toBe(shown);
});

it("takes a title from a file's name, within what a title may have", () => {
  expect(titleOf("Harbour at dawn.mov")).toBe("Harbour at dawn");
  expect(titleOf("v1.2 final")).toBe("v1.2 final");
  expect(titleOf(".mp4")).toBe(".mp4");
  expect(titleOf(`${"a".repeat(300)}.mp4`)).toHaveLength(200);
});
