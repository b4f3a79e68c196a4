/** The uploads of this tab: a queue that sends, and follows what it sent until it can be watched. Knows nothing of elements. */
import { ApiError, getProcessing, uploadVideo, type Processing } from "./api.ts";
import { titleOf } from "./format.ts";
import { Poller, type Round } from "./poller.ts";
import { SpeedMeter } from "./speed.ts";

/** Two fill the line while one of them waits for its answer; more would only make each of them slower. */
const SENDING_MAX = 2;
/** How many are asked after in one round. The server converts them in the order in which they came. */
const FOLLOWED_MAX = 4;

export type UploadState =
  | { readonly kind: "waiting" }
  | { readonly kind: "sending"; readonly sent: number; readonly speed: number | null }
  /** Every byte is sent; the server makes sure that it keeps them. */
  | { readonly kind: "storing" }
  | { readonly kind: "processing"; readonly processing: Processing | null }
  | { readonly kind: "ready" }
  /** It did not reach the server, or was refused. */
  | { readonly kind: "unsent"; readonly title: string; readonly detail: string }
  /** It cannot be converted, however often it is sent. */
  | { readonly kind: "failed"; readonly reason: string };

export interface Upload {
  readonly file: File;
  readonly state: UploadState;
  readonly videoId: string | null;
}

interface UploadEntry {
  readonly file: File;
  state: UploadState;
  videoId: string | null;
  transfer: AbortController;
}

export class Uploads {
  readonly #entries: UploadEntry[] = [];
  readonly #listeners: ((upload: Upload) => void)[] = [];
  readonly #arrivalListeners: (() => void)[] = [];
  readonly #poller: Poller;

  constructor() {
    const forEver = new AbortController().signal;
    this.#poller = new Poller({ round: () => this.#follow(forEver), onFailure: () => {}, signal: forEver });
  }

  get all(): readonly Upload[] {
    return this.#entries;
  }

  /** Whether closing the tab would lose something. */
  get sending(): boolean {
    return this.#entries.some(({ state }) => ["waiting", "sending", "storing"].includes(state.kind));
  }

  /** Called after each change of an upload, its removal included. */
  onChange(listener: (upload: Upload) => void): void {
    this.#listeners.push(listener);
  }

  /** Called after the server has taken in a video. */
  onArrival(listener: () => void): void {
    this.#arrivalListeners.push(listener);
  }

  add(files: readonly File[]): void {
    for (const file of files) {
      const entry: UploadEntry = { file, state: { kind: "waiting" }, videoId: null, transfer: new AbortController() };
      this.#entries.push(entry);
      this.#set(entry, file.size === 0 ? { kind: "failed", reason: "The file is empty." } : entry.state);
    }
    this.#sendNext();
  }

  retry(upload: Upload): void {
    const entry = this.#entry(upload);
    entry.transfer = new AbortController();
    this.#set(entry, { kind: "waiting" });
    this.#sendNext();
  }

  /** Ends what is on its way and forgets it. A video that has arrived stays on the server. */
  remove(upload: Upload): void {
    const entry = this.#entry(upload);
    this.#entries.splice(this.#entries.indexOf(entry), 1);
    entry.transfer.abort();
    this.#changed(entry);
    this.#sendNext();
  }

  #entry(upload: Upload): UploadEntry {
    const entry = this.#entries.find((candidate) => candidate === upload);
    if (!entry) throw new Error("this upload is not in the list");
    return entry;
  }

  #sendNext(): void {
    const sending = this.#entries.filter(({ state }) => state.kind === "sending" || state.kind === "storing").length;
    const waiting = this.#entries.filter(({ state }) => state.kind === "waiting");
    for (const entry of waiting.slice(0, Math.max(0, SENDING_MAX - sending))) void this.#send(entry);
  }

  async #send(entry: UploadEntry): Promise<void> {
    const { signal } = entry.transfer;
    const meter = new SpeedMeter();
    this.#set(entry, { kind: "sending", sent: 0, speed: null });
    try {
      const onSent = (sent: number) => this.#onSent(entry, meter, sent);
      const video = await uploadVideo(entry.file, titleOf(entry.file.name), onSent, signal);
      entry.videoId = video.id;
      this.#set(entry, { kind: "processing", processing: null });
      this.#poller.wake();
      for (const listener of this.#arrivalListeners) listener();
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.#set(entry, { kind: "unsent", title: error.title, detail: error.message });
    } finally {
      this.#sendNext();
    }
  }

  #onSent(entry: UploadEntry, meter: SpeedMeter, sent: number): void {
    meter.add(performance.now(), sent);
    this.#set(entry, sent < entry.file.size ? { kind: "sending", sent, speed: meter.speed() } : { kind: "storing" });
  }

  async #follow(signal: AbortSignal): Promise<Round> {
    const followed = this.#entries.filter(({ state }) => state.kind === "processing").slice(0, FOLLOWED_MAX);
    const news = await Promise.all(followed.map((entry) => this.#ask(entry, signal)));
    if (!this.#entries.some(({ state }) => state.kind === "processing")) return "idle";
    return news.includes(true) ? "news" : "quiet";
  }

  /** Resolves with whether something is new. */
  async #ask(entry: UploadEntry, signal: AbortSignal): Promise<boolean> {
    const before = entry.state;
    const state = await this.#processingState(entry, signal);
    // It may have been removed while the server was asked.
    if (entry.state === before) this.#set(entry, state);
    return JSON.stringify(before) !== JSON.stringify(state);
  }

  async #processingState(entry: UploadEntry, signal: AbortSignal): Promise<UploadState> {
    try {
      const processing = await getProcessing(entry.videoId ?? "", signal);
      if (processing.status === "ready") return { kind: "ready" };
      if (processing.status === "failed") return { kind: "failed", reason: processing.error?.message ?? "It could not be converted." };
      return { kind: "processing", processing };
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return { kind: "failed", reason: "It was deleted." };
      throw error;
    }
  }

  #set(entry: UploadEntry, state: UploadState): void {
    entry.state = state;
    this.#changed(entry);
  }

  #changed(entry: UploadEntry): void {
    for (const listener of this.#listeners) listener(entry);
  }
}
