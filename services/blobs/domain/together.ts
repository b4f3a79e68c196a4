/** Work that costs many little more than one: what is asked for while some is under way is done together, next. */

interface Asked<Q, R> {
  readonly request: Q;
  readonly resolve: (answer: R) => void;
  readonly reject: (error: unknown) => void;
}

export class Together<Q, R> {
  readonly #work: (requests: readonly Q[]) => Promise<readonly R[]>;
  readonly #most: number;
  readonly #waiting: Asked<Q, R>[] = [];
  #isRunning = false;

  /** `work` answers `most` requests at a time, in their order, or fails for all of them; what it has done by then may be done once more. */
  constructor(most: number, work: (requests: readonly Q[]) => Promise<readonly R[]>) {
    this.#most = most;
    this.#work = work;
  }

  async ask(request: Q): Promise<R> {
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    this.#waiting.push({ request, resolve, reject });
    if (!this.#isRunning) void this.#run();
    return await promise;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) await this.#serve(this.#waiting.splice(0, this.#most));
    this.#isRunning = false;
  }

  async #serve(batch: readonly Asked<Q, R>[]): Promise<void> {
    try {
      const answers = await this.#work(batch.map(({ request }) => request));
      batch.forEach(({ resolve }, index) => resolve(answers[index]!));
    } catch (error) {
      // What one of them cannot have is no fault of the others: each is told by itself, while the next go on together.
      if (batch.length === 1) batch[0]!.reject(error);
      else void this.#oneByOne(batch);
    }
  }

  async #oneByOne(batch: readonly Asked<Q, R>[]): Promise<void> {
    for (const asked of batch) await this.#serve([asked]);
  }
}
