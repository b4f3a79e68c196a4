import { layers, violation } from "./layers.ts";
import { importsOf, sources, type Import } from "./sources.ts";

/** One import that the layer may make and some that it may not: a rule that was never seen red is no rule. */
const examples: Record<string, { from: string; allowed: string; refused: readonly string[] }> = {
  rpc: { from: "services/kernel/rpc.ts", allowed: "./services/kernel/errors.ts", refused: ["moleculer", "node:fs"] },
  trace: { from: "services/kernel/trace.ts", allowed: "@opentelemetry/api", refused: ["moleculer", "node:fs", "./config/index.ts"] },
  kernel: {
    from: "services/kernel/errors.ts",
    allowed: "zod",
    refused: ["./services/kernel/rpc.ts", "./services/kernel/trace.ts", "node:fs", "pg"],
  },
  domain: {
    from: "services/ring/domain/placement.ts",
    allowed: "node:crypto",
    refused: ["moleculer", "node:fs", "lru-cache", "./services/ring/contract.ts", "./services/ring/store/rings.ts", "./config/index.ts"],
  },
  contract: {
    from: "services/videos/contract.ts",
    allowed: "./services/jobs/contract.ts",
    refused: ["moleculer", "./services/videos/store/videos.ts", "./services/jobs/domain/backoff.ts"],
  },
  disk: {
    from: "services/disk/main.ts",
    allowed: "@grpc/grpc-js",
    refused: ["moleculer", "moleculer-web", "./services/ring/contract.ts", "./services/kernel/rpc.ts", "./mixins/log.ts"],
  },
  adapter: {
    from: "services/storage/disks/pool.ts",
    allowed: "./services/storage/domain/quorum.ts",
    refused: [
      "./services/kernel/rpc.ts",
      "./services/ring/contract.ts",
      "./services/storage/storage.service.ts",
      "./mixins/database/database.mixin.ts",
      "moleculer",
      "./config/index.ts",
      "./mixins/log.ts",
    ],
  },
  service: {
    from: "services/videos/videos.service.ts",
    allowed: "./services/jobs/contract.ts",
    refused: [
      "./services/jobs/jobs.service.ts",
      "./services/jobs/domain/backoff.ts",
      "./services/jobs/store/jobs.ts",
      "./test/support/x.ts",
    ],
  },
  mixin: {
    from: "mixins/worker.ts",
    allowed: "./services/jobs/contract.ts",
    refused: ["./services/jobs/store/jobs.ts", "./moleculer.config.ts"],
  },
  tracing: { from: "config/tracing.ts", allowed: "@opentelemetry/api", refused: ["moleculer", "./services/kernel/trace.ts", "node:fs"] },
  reports: {
    from: "config/sentry.ts",
    allowed: "./services/kernel/mistakes.ts",
    refused: ["moleculer", "./mixins/log.ts", "./services/ring/contract.ts"],
  },
  config: { from: "config/index.ts", allowed: "zod", refused: ["pino", "./services/kernel/limits.ts", "moleculer"] },
  broker: {
    from: "moleculer.config.ts",
    allowed: "./config/index.ts",
    refused: ["./services/videos/contract.ts", "./deploy/local/start.ts"],
  },
  launcher: {
    from: "deploy/local/start.ts",
    allowed: "./moleculer.config.ts",
    refused: ["./services/videos/contract.ts", "./test/support/x.ts"],
  },
  operator: {
    from: "deploy/operator/commands.ts",
    allowed: "./services/ring/contract.ts",
    refused: ["./services/ring/store/rings.ts", "./mixins/database/sql.ts", "./deploy/local/start.ts"],
  },
  build: { from: "web/vite.config.ts", allowed: "vite", refused: ["./config/index.ts"] },
  web: {
    from: "web/src/main.ts",
    allowed: "shaka-player",
    refused: ["./services/videos/contract.ts", "./services/kernel/errors.ts", "node:path"],
  },
  "example client": {
    from: "docs/client.ts",
    allowed: "./docs/client.ts",
    refused: ["node:fs", "zod", "./web/src/dom.ts", "./docs/film.ts"],
  },
  example: { from: "docs/film.ts", allowed: "./docs/client.ts", refused: ["./services/kernel/errors.ts", "./web/src/dom.ts", "zod"] },
  "example of a page": { from: "docs/uppy.ts", allowed: "@uppy/tus", refused: ["node:fs", "./web/src/dom.ts", "./web/src/gen/api.ts"] },
  proto: { from: "proto/gen/disk.ts", allowed: "@grpc/grpc-js", refused: ["./services/kernel/errors.ts"] },
  proof: { from: "test/system/restart.test.ts", allowed: "./services/ring/domain/placement.ts", refused: [] },
};

const importing = (from: string, to: string): Import => ({ from, to, typesOnly: false });

describe.each(layers.map(({ name }) => name))("the layer %s", (name) => {
  it("may import what it needs, and nothing above it", () => {
    const { from, allowed, refused } = examples[name]!;
    expect(violation(importing(from, allowed))).toBeUndefined();
    expect(refused.map((to) => violation(importing(from, to)))).toEqual(
      refused.map((to) => expect.stringMatching(new RegExp(`^${from}: ${name} must not import .* \\(${to}\\)$`))),
    );
  });
});

it("lets rpc name moleculer as a type only", () => {
  const named = { from: "services/kernel/rpc.ts", to: "moleculer" };
  expect(violation({ ...named, typesOnly: true })).toBeUndefined();
  expect(violation({ ...named, typesOnly: false })).toBe("services/kernel/rpc.ts: rpc must not import moleculer (moleculer)");
});

it("lets an adapter use what services share in mixins/, but not what knows the broker", () => {
  const from = "services/jobs/store/queue.ts";
  expect(violation(importing(from, "./mixins/database/sql.ts"))).toBeUndefined();
  expect(violation(importing(from, "./mixins/worker.mixin.ts"))).toContain("must not import mixins");
});

it("refuses a name that a program makes, and a file that belongs to no layer", () => {
  expect(violation(importing("services/ring/ring.service.ts", "computed"))).toContain("must not import computed name");
  expect(violation(importing("scripts/seed.ts", "zod"))).toBe("scripts/seed.ts: no layer owns it");
});

it("keeps every import inside its layer", () => {
  const imports = sources.flatMap(importsOf);
  // A gate that reads nothing must not be green: these were there on the first day.
  expect(sources.length).toBeGreaterThan(20);
  expect(imports.length).toBeGreaterThan(40);
  expect(imports.map(violation).filter(Boolean)).toEqual([]);
});
