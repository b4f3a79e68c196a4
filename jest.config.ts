import type { Config } from "jest";

const config: Config = {
  testEnvironment: "node",
  testMatch: ["<rootDir>/test/**/*.test.ts"],
  // SWC only strips types here: oxlint and tsc check them.
  transform: {
    "^.+\\.ts$": ["@swc/jest", { jsc: { parser: { syntax: "typescript" }, target: "es2023" }, module: { type: "commonjs" } }],
  },
  // Two cores run ffmpeg, a database and a browser in these tests: more workers only make them wait for each other.
  maxWorkers: 2,
  // Not a measure of speed but the end of patience: a test that waits for a condition fails by itself long before.
  testTimeout: 60_000,
};

export default config;
