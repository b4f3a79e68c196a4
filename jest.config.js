// Plain JavaScript: Jest reads it before any transform, and `node node_modules/jest/bin/jest.js` runs on a machine's own, older Node.

/** Packages that exist as ES modules only, which Jest cannot `require`. */
const MODULES_ONLY = ["@tus/[^/]+", "oxc-parser", "srvx"];

/** @type {import("jest").Config} */
export default {
  testEnvironment: "node",
  testMatch: ["<rootDir>/test/**/*.test.ts"],
  // SWC only strips types here: oxlint and tsc check them.
  transform: {
    "\\.m?[jt]s$": ["@swc/jest", { jsc: { parser: { syntax: "typescript" }, target: "es2023" }, module: { type: "commonjs" } }],
  },
  transformIgnorePatterns: [`/node_modules/(?!(?:${MODULES_ONLY.join("|")})/)`],
  // Two cores run ffmpeg, a database and a browser in these tests: more workers only make them wait for each other.
  maxWorkers: 2,
  // Not a measure of speed but the end of patience: a test that waits for a condition fails by itself long before.
  testTimeout: 120_000,
  setupFiles: process.env["SEED"] ? ["<rootDir>/test/support/seed.ts"] : [],
  reporters: ["default", "<rootDir>/test/support/reporter.js"],
};
