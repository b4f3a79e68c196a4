/** Does `task` for all of these, some at a time, and answers what came of each, in order. */
export async function atOnce<T, R>(list: readonly T[], most: number, task: (one: T) => Promise<R>): Promise<PromiseSettledResult<R>[]> {
  const outcomes: PromiseSettledResult<R>[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < list.length) {
      const index = next++;
      [outcomes[index]] = await Promise.allSettled([task(list[index]!)]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(most, list.length) }, worker));
  return outcomes;
}
