/** What was asked of a disk and what it acknowledged, and so what must be found on it after whatever happened to it. */

/** What is known of a chunk: "either" after something that was begun and neither acknowledged nor refused. */
type Expected = "present" | "absent" | "either";
export type Found = "intact" | "missing" | "corrupt";
/** "refused" when it is certain that nothing was changed. */
export type Outcome = "acknowledged" | "refused" | "unknown";

/** Work on one chunk is recorded by one writer, one piece after the other. */
export class History {
  readonly #chunks = new Map<string, Expected>();
  acknowledged = { puts: 0, deletes: 0, epoch: 0 };
  #waiting: { readonly puts: number; readonly resolve: () => void } | undefined;

  async put(hash: string, work: () => Promise<Outcome>): Promise<void> {
    const before = this.expected(hash);
    this.#chunks.set(hash, before === "present" ? "present" : "either");
    const outcome = await work();
    if (outcome === "refused") this.#chunks.set(hash, before);
    if (outcome !== "acknowledged") return;
    this.#chunks.set(hash, "present");
    this.acknowledged.puts += 1;
    if (this.acknowledged.puts === this.#waiting?.puts) this.#waiting.resolve();
  }

  /** Resolves at once when so many puts are acknowledged. */
  async until(puts: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting = { puts, resolve };
    await promise;
  }

  async delete(hash: string, work: () => Promise<Outcome>): Promise<void> {
    const before = this.expected(hash);
    this.#chunks.set(hash, before === "absent" ? "absent" : "either");
    const outcome = await work();
    if (outcome === "refused") this.#chunks.set(hash, before);
    if (outcome !== "acknowledged") return;
    this.#chunks.set(hash, "absent");
    this.acknowledged.deletes += 1;
  }

  expected(hash: string): Expected {
    return this.#chunks.get(hash) ?? "absent";
  }

  /** What is not as it must be. `find` looks for a chunk and verifies it. */
  async problems(find: (hash: string) => Promise<Found>): Promise<Problems> {
    const problems: Problems = { lost: [], corrupt: [], back: [] };
    for (const [hash, expected] of this.#chunks) {
      const found = await find(hash);
      if (found === "corrupt") problems.corrupt.push(hash);
      if (found === "missing" && expected === "present") problems.lost.push(hash);
      if (found === "intact" && expected === "absent") problems.back.push(hash);
    }
    return problems;
  }
}

export interface Problems {
  /** Acknowledged, and gone. */
  readonly lost: string[];
  /** There under its name, and not what that says. */
  readonly corrupt: string[];
  /** Deleted, and there again. */
  readonly back: string[];
}
