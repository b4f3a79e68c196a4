import * as fc from "fast-check";
import { errorType } from "../../../services/kernel/errors.ts";
import { mendedVtt, webVtt } from "../../../services/kernel/captions.ts";

const of = (text: string): string => webVtt(Buffer.from(text));

const time = (ms: number): string => new Date(ms).toISOString().slice(11, 23);

function refusal(bytes: Uint8Array | string): string {
  try {
    webVtt(Buffer.from(bytes));
    return "taken";
  } catch (error) {
    return errorType(error) === "CAPTIONS_INVALID" ? String(error) : `other: ${String(error)}`;
  }
}

describe("WebVTT", () => {
  it("keeps its cues with their places, and loses everything else", () => {
    const text = [
      "\ufeffWEBVTT - Title",
      "Kind: captions",
      "",
      "NOTE by hand",
      "",
      "STYLE",
      "::cue { background: url(http://elsewhere/) }",
      "",
      "REGION",
      "id:fred",
      "",
      "intro",
      "00:01.000 --> 00:02.500 align:start line:0% region:fred",
      "<v Ada>Hello & goodbye</v>",
      "second line",
      "",
      "",
      "100:00:00.000 --> 100:00:01.000",
      "late",
    ].join("\r\n");
    expect(of(text)).toBe(
      [
        "WEBVTT",
        "",
        "00:00:01.000 --> 00:00:02.500 align:start line:0%",
        "<v Ada>Hello & goodbye</v>",
        "second line",
        "",
        "100:00:00.000 --> 100:00:01.000",
        "late",
        "",
      ].join("\n"),
    );
  });

  it.each([
    ["no cue", "WEBVTT\n\nNOTE x\n", "holds no cue"],
    ["nothing", "", "holds no cue"],
    ["other text", "<html></html>", "line 2: this is no timing"],
    ["a cue that ends before it begins", "WEBVTT\n\n00:02.000 --> 00:01.000\nx", "line 3: the cue ends before it begins"],
    ["cues in the wrong order", "WEBVTT\n\n00:02.000 --> 00:03.000\nx\n\n00:01.000 --> 00:03.000\ny", "line 6: the cue begins before"],
    ["a timing of SubRip", "WEBVTT\n\n00:00:01,000 --> 00:00:02,000\nx", "line 3: this is no timing"],
    ["two cues without a line between", "WEBVTT\n\n00:01.000 --> 00:02.000\nx\n00:02.000 --> 00:03.000\ny", "line 5: an empty line"],
    ["a setting that there is not", "WEBVTT\n\n00:01.000 --> 00:02.000 colour:red\nx", "line 3: this is no timing"],
    ["minutes that there are not", "WEBVTT\n\n61:00.000 --> 62:00.000\nx", "line 3: this is no timing"],
    ["no empty line after the head", "WEBVTT\n00:01.000 --> 00:02.000\nx", "line 2: an empty line"],
    ["a NUL", "WEBVTT\n\n00:01.000 --> 00:02.000\n\0", "NUL"],
  ])("with %s is refused, and told where", (_what, text, problem) => {
    expect(refusal(text)).toContain(problem);
  });

  it("that is not UTF-8 is refused", () => {
    expect(refusal(Buffer.from("WEBVTT\n\n00:01.000 --> 00:02.000\ncaf\u00e9", "latin1"))).toContain("not UTF-8");
  });

  it("comes out as it went in, once it came out", () => {
    const cue = fc.record({
      start: fc.nat(3_000_000),
      length: fc.integer({ min: 1, max: 9999 }),
      text: fc.stringMatching(/^[a-z<>&; é語]{0,30}$/),
    });
    fc.assert(
      fc.property(fc.array(cue, { minLength: 1, maxLength: 20 }), (cues) => {
        const ordered = cues.toSorted((a, b) => a.start - b.start);
        const text = [
          "WEBVTT",
          ...ordered.map(({ start, length, text: line }) => `${time(start)} --> ${time(start + length)}\n${line.trim() || "-"}`),
        ];
        const once = of(text.join("\n\n"));
        expect(of(once)).toBe(once);
        expect(once.match(/-->/g)).toHaveLength(cues.length);
      }),
    );
  });

  it("is taken or refused whatever it holds, and never breaks anything", () => {
    const parts = fc.constantFrom(
      "WEBVTT",
      "\n",
      "\n\n",
      "00:01.000 --> 00:02.000",
      "1",
      " ",
      "-->",
      "00:00:01,5 --> 00:00:02,5",
      "x",
      "NOTE",
      "<",
      "\t",
    );
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 30 }), (text) => {
        expect(refusal(text.join(""))).toMatch(/^taken$|These are no captions/);
      }),
    );
  });
});

describe("SubRip", () => {
  it("becomes WebVTT, sorted, with its plain marks and none of its colours", () => {
    const text =
      "2\r\n00:00:05,5 --> 00:00:06,000 X1:1 X2:2\r\n<font color=red>A < B & <I>C</I></font>\r\n\r\n1\r\n00:00:01,000 --> 00:00:02,250\r\n{\\an8}Up <script>\r\n";
    expect(of(text)).toBe(
      "WEBVTT\n\n00:00:01.000 --> 00:00:02.250\nUp &lt;script&gt;\n\n00:00:05.500 --> 00:00:06.000\nA &lt; B &amp; <i>C</i>\n",
    );
  });
});

const mended = (...blocks: string[]): string | undefined => mendedVtt(Buffer.from(["WEBVTT", ...blocks].join("\n\n")), 3600);

describe("what a converter makes of lines of text", () => {
  it("keeps all cues but those that show nothing, whatever is odd in one, in order", () => {
    const odd = ["01:00:03.000 --> 01:00:04.000\nLast --> a\n\nAfter an empty line", "01:00:01.000 --> 01:00:01.000\nNo time"];
    const drawn = "01:00:02.000 --> 01:00:02.500\nm 0 0 l 100 0 100 100 0 100";
    const made = mended(...odd, drawn, "01:00:00.500 --> 01:00:01.000\nFirst");
    expect(made).toBe(
      "WEBVTT\n\n00:00:00.500 --> 00:00:01.000\nFirst\n\n00:00:03.000 --> 00:00:04.000\nLast --&gt; a\nAfter an empty line\n",
    );
    expect(of(made!)).toBe(made);
  });

  it("moves no cue for one that comes before the start, which begins there or is left out", () => {
    const early = ["59:58.000 --> 59:59.000\nOver", "59:59.500 --> 01:00:00.500\nUnder way"];
    expect(mended(...early, "01:00:01.000 --> 01:00:02.000\nIn time")).toBe(
      "WEBVTT\n\n00:00:00.000 --> 00:00:00.500\nUnder way\n\n00:00:01.000 --> 00:00:02.000\nIn time\n",
    );
  });

  it("holds no more cues than captions may, and is nothing when there is none", () => {
    const cue = "01:00:01.000 --> 01:00:02.000\nx";
    expect(mended(...Array.from({ length: 20_001 }, () => cue))?.match(/-->/g)).toHaveLength(20_000);
    expect([mended(), mended("A line of nobody")]).toEqual([undefined, undefined]);
  });
});
