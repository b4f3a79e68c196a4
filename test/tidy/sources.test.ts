import { files, identifiersOf, importsOf, sources, textOf } from "./sources.ts";

const linesOf = (path: string) => textOf(path).trimEnd().split("\n");
const outside = (...folders: string[]) => sources.filter((path) => !folders.some((folder) => path.startsWith(folder)));

/** Lines of these files that match, as "path:line: text". */
function matches(paths: readonly string[], pattern: RegExp): string[] {
  return paths.flatMap((path) =>
    linesOf(path).flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
  );
}

/** The words of an identifier: "ffmpegPath2" → "ffmpeg path2", "DISK_HOST" → "disk host". */
const wordsOf = (name: string) =>
  name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/[_$]+/g, " ")
    .trim()
    .toLowerCase();

/** The words that docs/vocabulary.md has in its last column, each with the one to write instead. */
const synonyms = [...textOf("docs/vocabulary.md").matchAll(/^\| (\w+) +\|.*\| ([^|]+?) +\|$/gm)]
  .filter(([, word]) => word !== "Word")
  .flatMap(([, word, others = ""]) => others.split(", ").map((other) => ({ word, pattern: new RegExp(`\\b${other}s?\\b`) })));

it("keeps a service file short enough to be read as a contract", () => {
  const services = sources.filter((path) => path.endsWith(".service.ts"));
  expect(services.map((path) => [path, linesOf(path).length] as const).filter(([, lines]) => lines > 150)).toEqual([]);
});

it("says one word for one thing", () => {
  // The settings of a tool are in the tool's own words.
  const ours = sources.filter((path) => !path.endsWith(".config.ts") || path === "moleculer.config.ts");
  const found = ours.flatMap((path) =>
    identifiersOf(path).flatMap(({ name, line }) =>
      synonyms.flatMap(({ pattern, word }) => (pattern.test(wordsOf(name)) ? [`${path}:${line}: ${name}; say ${word}`] : [])),
    ),
  );
  expect(synonyms.length).toBeGreaterThan(9);
  expect(synonyms.filter(({ pattern }) => pattern.test(wordsOf("sampleClips")))).toHaveLength(1);
  expect([...new Set(found)]).toEqual([]);
});

it("waits in tests for conditions, never for time", () => {
  const tests = sources.filter((path) => path.startsWith("test/") && path !== "test/support/eventually.ts");
  const sleeping = tests.filter((path) => identifiersOf(path).some(({ name }) => name === "setTimeout" || name === "scheduler"));
  expect(sleeping).toEqual([]);
});

it("reads the environment in config/ only", () => {
  const scattered = [
    ...matches(outside("config/", "test/", "bench/", "docs/", "jest.config.js"), /\bprocess\s*(?:\.\s*env\b|\[\s*["'`]env)/),
    ...outside("config/").filter((path) => importsOf(path).some(({ to }) => to === "node:process")),
  ];
  expect(scattered).toEqual([]);
});

it("names no place on one machine and no registry host", () => {
  const text = files.filter((path) => !/\.(?:png|jpe?g|ico|woff2?|mp4)$/.test(path));
  expect(text).toContain("package-lock.json");
  expect(matches(text, /(?<![\w.:/-])\/(?:root|work|Users|home\/[a-z]+)\/\w/)).toEqual([]);
  expect(matches(text, /\/\/registry\.|\/\/[\w.-]*(?:artifactory|jfrog|nexus)[\w.-]*\//)).toEqual([]);
  expect(matches(["package-lock.json"], /"resolved":/)).toEqual([]);
});

it("leaves no promise for later", () => {
  expect(matches(sources, /\b(?:TO\x44O|FIX\x4dE|XX\x58)\b|@ts-(?:ignore|nocheck)|(?:oxlint|eslint)-disable/)).toEqual([]);
});
