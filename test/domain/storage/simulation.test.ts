import { randomInt } from "node:crypto";
import { FINDINGS, simulate, type Tally } from "../../../bench/simulation/runs.ts";

/** `SEED=… npx jest test/domain/storage/simulation` makes the same runs again; `npm run sim:storage -- --replay` tells one of them in words. */
const seed = Number(process.env["SEED"] ?? randomInt(1e9));

const isFound = ({ found }: Tally): boolean => found.lost + found.thin + found.hidden > 0;

describe("the storage protocol in simulated machines", () => {
  it("loses nothing with the rules that are shipped", async () => {
    const { first, runs } = await simulate({ variant: "shipped", seed, runs: 150 });
    const guilty = FINDINGS.flatMap((finding) => (first[finding] ? [{ finding, replay: first[finding].seed }] : []));
    expect({ seed, runs, guilty }).toEqual({ seed, runs: 150, guilty: [] });
  });

  it.each(["no-fsync", "no-folder-fsync", "short-writes", "quorum-of-one", "naive-collector", "delete-before-verify"])(
    "finds in some hundred runs what goes wrong with %s",
    async (variant) => {
      expect(isFound(await simulate({ variant, seed, runs: 2000, until: isFound }))).toBe(true);
    },
  );
});
