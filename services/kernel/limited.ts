/** A signal that ends work with another one, or earlier. `AbortSignal.any` does that too, by weak references and objects that cost each small write a tenth of its CPU. */
interface Limited {
  readonly limit: AbortSignal;
  readonly abort: (reason: Error) => void;
  /** When the work is over: the outer signal may live on. */
  readonly release: () => void;
}

export function limitedBy(outer: AbortSignal | undefined): Limited {
  const controller = new AbortController();
  const abort = (reason: unknown): void => controller.abort(reason);
  const follow = (): void => abort(outer?.reason);
  if (outer?.aborted) follow();
  else outer?.addEventListener("abort", follow);
  return { limit: controller.signal, abort, release: () => outer?.removeEventListener("abort", follow) };
}
