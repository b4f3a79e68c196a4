import { storyboardVtt } from "../../../services/gateway/domain/storyboard.ts";

it("says for each stretch of time which part of the picture shows it", () => {
  const tiles = { columns: 2, width: 160, height: 90, starts: [0, 4, 3600.5], duration: 3604.5 };
  expect(storyboardVtt(tiles, "storyboard.jpg")).toBe(
    [
      "WEBVTT",
      "",
      "00:00:00.000 --> 00:00:04.000",
      "storyboard.jpg#xywh=0,0,160,90",
      "",
      "00:00:04.000 --> 01:00:00.500",
      "storyboard.jpg#xywh=160,0,160,90",
      "",
      "01:00:00.500 --> 01:00:04.500",
      "storyboard.jpg#xywh=0,90,160,90",
      "",
    ].join("\n"),
  );
});
