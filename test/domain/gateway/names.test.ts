import { randomBytes } from "node:crypto";
import { acceptedRequestId, uuidV7 } from "../../../services/gateway/domain/ids.ts";
import { pageLinks, type Page } from "../../../services/gateway/domain/links.ts";
import { cleanFilename, cleanLine, cleanText, headerText, splitTags, titleOf } from "../../../services/gateway/domain/names.ts";
import { videoSchema } from "../../../services/gateway/domain/documents.ts";
import { videoDocument } from "../../../services/gateway/domain/video.ts";
import { videoOf } from "../../support/catalogue.ts";
import { uuid } from "../../../services/kernel/schemas.ts";

describe("a file's name", () => {
  it.each([
    ["clip.mp4", "clip.mp4"],
    ["../../etc/passwd", "passwd"],
    ["C:\\films\\a b.mov", "a b.mov"],
    ["a\u0000b\r\nc.mp4", "ab c.mp4"],
    ["evil\u202egpj.exe", "evilgpj.exe"],
    ["e\u0301.mp4", "\u00e9.mp4"],
    ["..", "video"],
    ["///", "video"],
    ["", "video"],
    ["  ", "video"],
    [".mp4", ".mp4"],
  ])("%j is kept as %j", (given, kept) => {
    expect(cleanFilename(given)).toBe(kept);
  });

  it("has at most 255 bytes, whole characters, and still its extension", () => {
    for (const character of ["a", "é", "漢", "🐙"]) {
      const kept = cleanFilename(`${character.repeat(300)}.mp4`);
      expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(255);
      expect(Buffer.byteLength(kept)).toBeGreaterThan(250);
      expect(kept).toMatch(new RegExp(`^(${character})+\\.mp4$`, "u"));
    }
    expect(Buffer.byteLength(cleanFilename(`a.${"b".repeat(300)}`))).toBeLessThanOrEqual(255);
  });

  it("gives a title when there is none", () => {
    expect(titleOf("My film.final.mp4")).toBe("My film.final");
    expect(titleOf(".mp4")).toBe(".mp4");
    expect(titleOf(`${"x".repeat(240)}.mp4`)).toHaveLength(200);
  });

  it("comes in a header as UTF-8, or percent-encoded", () => {
    expect(headerText(Buffer.from("über.mp4").toString("latin1"))).toBe("über.mp4");
    expect(headerText("%C3%BCber.mp4")).toBe("über.mp4");
    expect(headerText("100%.mp4")).toBe("100%.mp4");
  });
});

describe("texts from outside", () => {
  it("lose what cannot be seen or stored", () => {
    expect(cleanLine(" a\u0000\tb\r\nc\ud800 ")).toBe("a b c\ufffd");
    expect(cleanText("one\r\ntwo\tthree\u0000\u202e")).toBe("one\ntwo\tthree");
    expect(splitTags(" news, live ,,news,\u0000")).toEqual(["news", "live"]);
  });
});

describe("identifiers", () => {
  it("are UUIDs of version 7 that sort by time", () => {
    const ids = [0, 1, 1_700_000_000_000, 1_700_000_000_001].map((ms) => uuidV7(ms, randomBytes(10)));
    expect(ids.toSorted()).toEqual(ids);
    for (const id of ids) {
      expect(uuid.safeParse(id).success).toBe(true);
      expect(id).toMatch(/^.{14}7.{4}[89ab]/);
    }
    expect(uuidV7(0x0123456789ab, new Uint8Array(10).fill(0xff))).toBe("01234567-89ab-7fff-bfff-ffffffffffff");
  });

  it("of requests are a client's own only when they can stand in a log", () => {
    expect(acceptedRequestId("abc.DEF-123_")).toBe("abc.DEF-123_");
    for (const bad of [undefined, "short", "x".repeat(65), "with space", "new\nline-123", "ünicode-123", ["twice-123", "twice-123"]]) {
      expect(acceptedRequestId(bad)).toBeUndefined();
    }
  });
});

describe("the links of a list", () => {
  const page: Page = { path: "/v", filters: { status: "ready" }, limit: 10, page: 2, total: 35, hasMore: true, nextCursor: "c&c" };

  it("lead to the first, previous, next and last page, with the same filters", () => {
    expect(pageLinks(page)).toBe(
      [
        '</v?status=ready&page=1&limit=10>; rel="first"',
        '</v?status=ready&page=1&limit=10>; rel="prev"',
        '</v?status=ready&page=3&limit=10>; rel="next"',
        '</v?status=ready&page=4&limit=10>; rel="last"',
      ].join(", "),
    );
  });

  it("lead nowhere from the end, and back from beyond it", () => {
    expect(pageLinks({ ...page, page: 1, total: 0, hasMore: false })).toBe(
      '</v?status=ready&page=1&limit=10>; rel="first", </v?status=ready&page=1&limit=10>; rel="last"',
    );
    expect(pageLinks({ ...page, page: 99, hasMore: false })).toContain('page=4&limit=10>; rel="prev"');
  });

  it("lead to no page that cannot be asked for by number, and go on by cursor from the last that can", () => {
    const far = { ...page, limit: 1, total: 20_000 };
    expect(pageLinks({ ...far, page: 9999 })).toContain(
      'page=10000&limit=1>; rel="next", </v?status=ready&page=10000&limit=1>; rel="last"',
    );
    expect(pageLinks({ ...far, page: 10_000 })).toContain('</v?status=ready&cursor=c%26c&limit=1>; rel="next"');
    expect(pageLinks({ ...far, page: 10_000 })).not.toContain("10001");
  });

  it("go on by cursor for whoever came by cursor", () => {
    expect(pageLinks({ ...page, page: null })).toBe('</v?status=ready&cursor=c%26c&limit=10>; rel="next"');
    expect(pageLinks({ ...page, page: null, hasMore: false, nextCursor: null })).toBe("");
  });
});

describe("the document of a video", () => {
  it("has addresses for what is there, and null for what is not", () => {
    const id = "01890000-0000-7000-8000-000000000001";
    expect(videoDocument(videoOf({ id, playable: true, hasThumbnail: true }))).toMatchObject({
      id,
      playable: true,
      manifests: { dash: `/api/v1/videos/${id}/manifest.mpd`, hls: `/api/v1/videos/${id}/master.m3u8` },
      thumbnail: `/api/v1/videos/${id}/thumbnail.jpg`,
      storyboard: null,
      captions: [],
    });
    expect(videoDocument(videoOf({ id }))).toMatchObject({ manifests: { dash: null, hls: null }, thumbnail: null });
  });

  it("is what the API's description promises", () => {
    const document = videoDocument(videoOf({ id: "01890000-0000-7000-8000-000000000001" }));
    expect(videoSchema.parse(document)).toEqual(document);
  });
});
