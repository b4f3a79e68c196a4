/** The speed of an upload, as the page tells it. */
import { SpeedMeter } from "../../../web/src/speed.ts";

it("says nothing before there is anything to tell from", () => {
  const meter = new SpeedMeter();
  expect(meter.speed()).toBeNull();
  meter.add(0, 0);
  meter.add(50, 1_000_000);
  expect(meter.speed()).toBeNull();
});

it("follows a change of speed within seconds, and forgets what was before", () => {
  const meter = new SpeedMeter();
  let bytes = 0;
  for (let atMs = 0; atMs <= 10_000; atMs += 100) meter.add(atMs, (bytes += 1_000_000));
  expect(meter.speed()).toBe(10_000_000);
  for (let atMs = 10_100; atMs <= 14_100; atMs += 100) meter.add(atMs, (bytes += 1000));
  expect(meter.speed()).toBe(10_000);
});
