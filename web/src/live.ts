/** News from the server without asking: one WebSocket for the page. It only says when it is worth asking; while it is closed, the page asks by itself. */

const PATH = "/api/v1/live";
const SOONEST_MS = 1000;
const LATEST_MS = 30_000;

class Live {
  readonly #listeners = new Map<string, Set<() => void>>();
  #socket: WebSocket | null = null;
  #delayMs = SOONEST_MS;

  /** Whether what happens is told. */
  get open(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** `topic` is video:ID or upload:ID. Until the signal is aborted, `onNews` is called for each change. */
  watch(topic: string, onNews: () => void, signal: AbortSignal): void {
    const listeners = this.#listeners.get(topic) ?? new Set();
    if (listeners.size === 0) this.#send({ subscribe: [topic] });
    this.#listeners.set(topic, listeners.add(onNews));
    signal.addEventListener("abort", () => this.#unwatch(topic, onNews), { once: true });
    this.#connect();
  }

  #unwatch(topic: string, onNews: () => void): void {
    const listeners = this.#listeners.get(topic);
    listeners?.delete(onNews);
    if (listeners?.size !== 0) return;
    this.#listeners.delete(topic);
    this.#send({ unsubscribe: [topic] });
    if (this.#listeners.size === 0) this.#socket?.close();
  }

  #send(wish: object): void {
    if (this.open) this.#socket?.send(JSON.stringify(wish));
  }

  #connect(): void {
    if (this.#socket) return;
    const socket = new WebSocket(PATH);
    this.#socket = socket;
    socket.addEventListener("open", () => {
      this.#delayMs = SOONEST_MS;
      this.#send({ subscribe: [...this.#listeners.keys()] });
    });
    socket.addEventListener("message", ({ data }) => this.#tell(String(data)));
    socket.addEventListener("close", () => {
      this.#socket = null;
      setTimeout(() => this.#reconnect(), this.#delayMs);
      this.#delayMs = Math.min(LATEST_MS, this.#delayMs * 2);
    });
  }

  #reconnect(): void {
    if (this.#listeners.size > 0) this.#connect();
  }

  #tell(text: string): void {
    const { topic } = JSON.parse(text) as { topic: string | null };
    for (const onNews of this.#listeners.get(topic ?? "") ?? []) onNews();
  }
}

export const live = new Live();
