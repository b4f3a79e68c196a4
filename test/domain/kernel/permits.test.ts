import { Permits } from "../../../services/kernel/permits.ts";

const { signal } = new AbortController();

describe("permits", () => {
  it("are given in the order in which they were asked for", async () => {
    const permits = new Permits(1);
    const order: number[] = [];
    await permits.take(signal);
    const waiting = [1, 2, 3].map(async (n) => {
      await permits.take(signal);
      order.push(n);
      permits.give();
    });
    permits.give();
    await Promise.all(waiting);
    expect(order).toEqual([1, 2, 3]);
    expect(permits.free).toBe(1);
  });

  it("are not lost by who leaves the line, also in the moment of being served", async () => {
    const permits = new Permits(1);
    const [leaver, served] = [new AbortController(), new AbortController()];
    await permits.take(signal);
    const left = permits.take(leaver.signal);
    const first = permits.take(served.signal);
    const second = permits.take(signal);
    leaver.abort(new Error("gone"));
    await expect(left).rejects.toThrow("gone");
    permits.give();
    served.abort(new Error("too late"));
    await first;
    permits.give();
    await second;
    permits.give();
    expect(permits.free).toBe(1);
    await expect(permits.take(AbortSignal.abort(new Error("never")))).rejects.toThrow("never");
    expect(permits.free).toBe(1);
  });

  it("let so many wait, tell the next to come again, and are given back by work that fails", async () => {
    const permits = new Permits(1, { waitingMax: 1, refusal: "Too many." });
    const fails = Promise.withResolvers<never>();
    const first = permits.use(async () => await fails.promise);
    const second = permits.use(async () => "done");
    await expect(permits.use(async () => "never")).rejects.toMatchObject({ type: "TOO_BUSY", message: "Too many." });
    fails.reject(new Error("broken"));
    await expect(first).rejects.toThrow("broken");
    expect(await second).toBe("done");
    expect(permits.free).toBe(1);
  });
});
