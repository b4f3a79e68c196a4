import { Together } from "../../../services/blobs/domain/together.ts";

/** Work that waits to be let go; of numbers, of which it refuses some. */
function working({ most, refused = [] }: { most: number; refused?: readonly number[] }) {
  const batches: (readonly number[])[] = [];
  const gate = Promise.withResolvers<void>();
  const together = new Together<number, string>(most, async (requests) => {
    batches.push(requests);
    await gate.promise;
    const bad = requests.filter((each) => refused.includes(each));
    if (bad.length > 0) throw new Error(`not ${bad.join()}`);
    return requests.map((each) => `done ${each}`);
  });
  return { batches, together, letGo: gate.resolve };
}

const outcomes = async (asked: readonly Promise<string>[]): Promise<string[]> =>
  (await Promise.allSettled(asked)).map((each) => (each.status === "fulfilled" ? each.value : (each.reason as Error).message));

describe("work that is done together", () => {
  it("begins at once for the first, and for all who come meanwhile when that is done, so many at a time", async () => {
    const { batches, together, letGo } = working({ most: 3 });
    const asked = [1, 2, 3, 4, 5].map(async (each) => await together.ask(each));
    expect(batches).toEqual([[1]]);
    letGo();
    expect(await outcomes(asked)).toEqual([1, 2, 3, 4, 5].map((each) => `done ${each}`));
    expect(batches).toEqual([[1], [2, 3, 4], [5]]);
    expect(await together.ask(6)).toBe("done 6");
  });

  it("is done by itself for each of those with whom it failed: only whose fault it is fails", async () => {
    const { together, letGo } = working({ most: 8, refused: [1, 3] });
    const asked = [1, 2, 3, 4].map(async (each) => await together.ask(each));
    letGo();
    expect(await outcomes(asked)).toEqual(["not 1", "done 2", "not 3", "done 4"]);
  });

  it("goes on for those who come later while those with whom it failed are told one by one", async () => {
    const [first, stuck] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const together = new Together<number, string>(8, async (requests) => {
      if (requests.includes(1)) await first.promise;
      if (requests.length > 1 && requests.includes(3)) throw new Error("not together");
      if (requests.includes(3)) await stuck.promise;
      return requests.map((each) => `done ${each}`);
    });
    const asked = [1, 2, 3].map(async (each) => await together.ask(each));
    first.resolve();
    expect(await asked[1]).toBe("done 2");
    expect(await together.ask(4)).toBe("done 4");
    stuck.resolve();
    expect(await outcomes(asked)).toEqual(["done 1", "done 2", "done 3"]);
  });
});
