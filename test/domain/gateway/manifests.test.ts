import { mpd } from "../../../services/gateway/domain/dash.ts";
import { masterPlaylist, mediaPlaylist } from "../../../services/gateway/domain/hls.ts";
import { durationS, frameAt, segmentCount, type PresentedRendition } from "../../../services/gateway/domain/presentation.ts";

const hd: PresentedRendition = {
  name: "720p",
  kind: "video",
  width: 1280,
  height: 720,
  codecs: "avc1.64001f",
  bitrate: 2_800_000,
  averageBitrate: 2_100_000,
  timescale: 30_000,
  runs: [
    [2, 120_120],
    [1, 45_045],
  ],
};
const low: PresentedRendition = {
  ...hd,
  name: "240p",
  width: 426,
  height: 240,
  codecs: "avc1.640015",
  bitrate: 400_000,
  averageBitrate: 300_000,
};
const audio: PresentedRendition = {
  name: "audio",
  kind: "audio",
  width: 0,
  height: 0,
  codecs: "mp4a.40.2",
  bitrate: 130_000,
  averageBitrate: 128_000,
  timescale: 48_000,
  runs: [
    [2, 192_512],
    [1, 72_704],
  ],
};
const film = { revision: 3, frameRate: [30_000, 1001] as const, renditions: [hd, audio, low], captions: [] };

describe("the MPD", () => {
  it("is static, names every segment by number and time, and lasts as long as the longest rendition", () => {
    expect(mpd(film)).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="static" mediaPresentationDuration="PT9.536S" maxSegmentDuration="PT4.010667S" minBufferTime="PT4.010667S">
  <Period id="0" start="PT0S">
    <AdaptationSet id="0" contentType="video" mimeType="video/mp4" segmentAlignment="true" startWithSAP="1">
      <Role schemeIdUri="urn:mpeg:dash:role:2011" value="main"/>
      <Representation id="240p" codecs="avc1.640015" bandwidth="400000" width="426" height="240" frameRate="30000/1001" sar="1:1">
        <SegmentTemplate timescale="30000" initialization="streams/3/240p/init.mp4" media="streams/3/240p/$Number$.m4s" startNumber="1">
          <SegmentTimeline>
            <S t="0" d="120120" r="1"/>
            <S d="45045"/>
          </SegmentTimeline>
        </SegmentTemplate>
      </Representation>
      <Representation id="720p" codecs="avc1.64001f" bandwidth="2800000" width="1280" height="720" frameRate="30000/1001" sar="1:1">
        <SegmentTemplate timescale="30000" initialization="streams/3/720p/init.mp4" media="streams/3/720p/$Number$.m4s" startNumber="1">
          <SegmentTimeline>
            <S t="0" d="120120" r="1"/>
            <S d="45045"/>
          </SegmentTimeline>
        </SegmentTemplate>
      </Representation>
    </AdaptationSet>
    <AdaptationSet id="1" contentType="audio" mimeType="audio/mp4" segmentAlignment="true" startWithSAP="1">
      <Role schemeIdUri="urn:mpeg:dash:role:2011" value="main"/>
      <Representation id="audio" codecs="mp4a.40.2" bandwidth="130000">
        <SegmentTemplate timescale="48000" initialization="streams/3/audio/init.mp4" media="streams/3/audio/$Number$.m4s" startNumber="1">
          <SegmentTimeline>
            <S t="0" d="192512" r="1"/>
            <S d="72704"/>
          </SegmentTimeline>
        </SegmentTemplate>
      </Representation>
    </AdaptationSet>
  </Period>
</MPD>
`);
  });

  it("has no set of sound for a video without sound, and writes a whole frame rate as one number", () => {
    const silent = mpd({ ...film, frameRate: [25, 1], renditions: [hd] });
    expect(silent).not.toContain("audio");
    expect(silent).toContain('frameRate="25"');
    expect(silent).toContain('mediaPresentationDuration="PT9.5095S"');
  });

  it("escapes whatever it is given", () => {
    const odd = mpd({ ...film, renditions: [{ ...hd, name: `<"&'>`, codecs: `a"b` }] });
    expect(odd).toContain(`id="&lt;&quot;&amp;&apos;&gt;" codecs="a&quot;b"`);
    expect(odd).not.toContain(`<"`);
  });
});

describe("the HLS playlists", () => {
  it("name a variant for each picture, lightest first, counting the sound that plays along", () => {
    expect(masterPlaylist(film)).toBe(`#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="audio",DEFAULT=YES,AUTOSELECT=YES,URI="streams/3/audio/playlist.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=530000,AVERAGE-BANDWIDTH=428000,CODECS="avc1.640015,mp4a.40.2",RESOLUTION=426x240,FRAME-RATE=29.970,AUDIO="audio"
streams/3/240p/playlist.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=2930000,AVERAGE-BANDWIDTH=2228000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO="audio"
streams/3/720p/playlist.m3u8
`);
  });

  it("name no group of sound for a video without sound", () => {
    const silent = masterPlaylist({ ...film, renditions: [hd] });
    expect(silent).not.toContain("AUDIO");
    expect(silent).toContain('BANDWIDTH=2800000,AVERAGE-BANDWIDTH=2100000,CODECS="avc1.64001f",');
  });

  it("list every segment of a rendition, whole and ended", () => {
    expect(mediaPlaylist(audio)).toBe(`#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:5
#EXT-X-MEDIA-SEQUENCE:1
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI="init.mp4"
#EXTINF:4.010667,
1.m4s
#EXTINF:4.010666,
2.m4s
#EXTINF:1.514667,
3.m4s
#EXT-X-ENDLIST
`);
  });

  it("do not drift: three hours of odd durations sum up to the very end", () => {
    const long = { ...audio, runs: [[2700, 192_512]] as const };
    const sum = [...mediaPlaylist(long).matchAll(/#EXTINF:([0-9.]+),/g)].reduce(
      (micros, [, seconds]) => micros + Math.round(Number(seconds) * 1e6),
      0,
    );
    expect(sum).toBe(Math.round(((2700 * 192_512) / 48_000) * 1e6));
  });

  it("announce a target that no segment exceeds", () => {
    for (const ticks of [30_000, 59_999, 60_000, 60_001, 120_120]) {
      const playlist = mediaPlaylist({ ...hd, runs: [[1, ticks]] });
      const target = Number(/TARGETDURATION:([0-9]+)/.exec(playlist)?.[1]);
      expect(Number(/EXTINF:([0-9.]+)/.exec(playlist)?.[1])).toBeLessThanOrEqual(target);
    }
  });
});

describe("a presentation", () => {
  it("counts segments and seconds over all runs", () => {
    expect(segmentCount(hd)).toBe(3);
    expect(durationS({ ...film, renditions: [hd] })).toBeCloseTo(9.5095, 9);
    expect(durationS({ ...film, renditions: [] })).toBe(0);
  });
});

describe("the frame nearest to a time", () => {
  const rate = [30_000, 1001] as const;

  it.each([
    [0, { number: 1, frame: 0 }],
    [0.017, { number: 1, frame: 1 }],
    [3.98, { number: 1, frame: 119 }],
    [4.004, { number: 2, frame: 0 }],
    [8.008, { number: 3, frame: 0 }],
    [9.4, { number: 3, frame: 42 }],
    [1000, { number: 3, frame: 44 }],
  ])("at %d s is %j", (seconds, frame) => expect(frameAt(hd, rate, seconds)).toEqual(frame));
});
