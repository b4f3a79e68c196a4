/** The uploads of this tab: a queue that sends, and follows what it sent until it can be watched. Knows nothing of elements. */
import { ApiError, getProcessing, type Processing } from "./api.ts";
import { Poller, type Round } from "./poller.ts";
import { SpeedMeter } from "./speed.ts";
import { dropUnfinished, isSameFile, keepUnfinished, unfinishedUploads, type Unfinished } from "./unfinished.ts";

/** Two fill the line while one of them waits for its answer; more would only make each of them slower. */
const SENDING_MAX = 2;
/** How many are asked after in one round. The server converts them in the order in which they came. */
const FOLLOWED_MAX = 4;

export type UploadState =
  | { readonly kind: "waiting" }
  | { readonly kind: "sending"; readonly sent: number; readonly speed: number | null }
  /** The connection is lost, and tried again. */
  | { readonly kind: "lost"; readonly sent: number }
  | { readonly kind: "paused"; readonly sent: number }
  /** Left in the middle by an earlier visit: it goes on when its file is chosen again. */
  | { readonly kind: "interrupted"; readonly sent: number }
  /** Every byte is sent; the server makes sure that it keeps them. */
  | { readonly kind: "storing" }
  | { readonly kind: "processing"; readonly processing: Processing | null }
  | { readonly kind: "ready" }
  /** It was refused. */
  | { readonly kind: "unsent"; readonly title: string; readonly detail: string }
  /** It cannot be converted, however often it is sent. */
  | { readonly kind: "failed"; readonly reason: string };

export interface Upload {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly state: UploadState;
  readonly videoId: string | null;
}

interface UploadEntry extends Upload {
  /** Null until the file of an earlier visit is chosen again. */
  file: File | null;
  state: UploadState;
  videoId: string | null;
  /** Where the rest of it goes; null before the first byte. */
  address: string | null;
  sent: number;
  transfer: AbortController;
  /** Ends with its row. */
  readonly life: AbortController;
}

function entryOf(file: File | null, { name, size }: { name: string; size: number }, state: UploadState): UploadEntry {
  const [transfer, life] = [new AbortController(), new AbortController()];
  return { file, name, size, state, videoId: null, address: null, sent: 0, transfer, life };
}

/** How often the place where an upload stands is written down. */
const KEPT_MS = 1000;

export class Uploads {
  readonly #entries: UploadEntry[] = [];
  readonly #listeners: ((upload: Upload) => void)[] = [];
  readonly #arrivalListeners: (() => void)[] = [];
  readonly #poller: Poller;
  readonly #unfinished = new WeakMap<UploadEntry, Unfinished>();

  constructor() {
    const forEver = new AbortController().signal;
    this.#poller = new Poller({ round: () => this.#follow(forEver), onFailure: () => {}, signal: forEver });
  }

  get all(): readonly Upload[] {
    return this.#entries;
  }

  /** Whether closing the tab would lose something. */
  get sending(): boolean {
    return this.#entries.some(({ state }) => ["waiting", "sending", "lost", "storing"].includes(state.kind));
  }

  /** Called after each change of an upload, its removal included. */
  onChange(listener: (upload: Upload) => void): void {
    this.#listeners.push(listener);
  }

  /** Called after the server has taken in a video. */
  onArrival(listener: () => void): void {
    this.#arrivalListeners.push(listener);
  }

  /** Shows what earlier visits left in the middle. */
  restore(): void {
    for (const unfinished of unfinishedUploads()) {
      const { address, sent } = unfinished;
      const entry = Object.assign(entryOf(null, unfinished, { kind: "interrupted", sent }), { address, sent });
      this.#unfinished.set(entry, unfinished);
      this.#entries.push(entry);
      this.#changed(entry);
    }
  }

  add(files: readonly File[]): void {
    for (const file of files) {
      const before = this.#entries.find((entry) => entry.state.kind === "interrupted" && isSame(this.#unfinished.get(entry), file));
      const entry = before ?? entryOf(file, file, { kind: "waiting" });
      entry.file = file;
      if (!before) this.#entries.push(entry);
      this.#set(entry, file.size === 0 ? { kind: "failed", reason: "The file is empty." } : { kind: "waiting" });
    }
    this.#sendNext();
  }

  pause(upload: Upload): void {
    const entry = this.#entry(upload);
    entry.transfer.abort();
    this.#set(entry, { kind: "paused", sent: entry.sent });
    this.#sendNext();
  }

  /** Goes on with what was paused, or refused. */
  resume(upload: Upload): void {
    const entry = this.#entry(upload);
    this.#set(entry, { kind: "waiting" });
    this.#sendNext();
  }

  /** Ends what is on its way and forgets it, here and on the server. A video that has arrived stays there. */
  remove(upload: Upload): void {
    const entry = this.#entry(upload);
    this.#entries.splice(this.#entries.indexOf(entry), 1);
    entry.transfer.abort();
    entry.life.abort();
    if (entry.videoId === null && entry.address !== null) void this.#end(entry.address);
    this.#changed(entry);
    this.#sendNext();
  }

  async #end(address: string): Promise<void> {
    dropUnfinished(address);
    const { endTransfer } = await import("./transfer.ts");
    await endTransfer(address);
  }

  #entry(upload: Upload): UploadEntry {
    const entry = this.#entries.find((candidate) => candidate === upload);
    if (!entry) throw new Error("this upload is not in the list");
    return entry;
  }

  #sendNext(): void {
    const sending = this.#entries.filter(({ state }) => ["sending", "lost", "storing"].includes(state.kind)).length;
    const waiting = this.#entries.filter(({ state }) => state.kind === "waiting");
    for (const entry of waiting.slice(0, Math.max(0, SENDING_MAX - sending))) void this.#send(entry);
  }

  async #send(entry: UploadEntry): Promise<void> {
    const { file } = entry;
    if (!file) return;
    entry.transfer = new AbortController();
    const { signal } = entry.transfer;
    this.#set(entry, { kind: "sending", sent: entry.sent, speed: null });
    try {
      const { transfer } = await import("./transfer.ts");
      const { address } = entry;
      this.#arrived(entry, await transfer(file, { address, signal, ...this.#progressOf(entry, file) }));
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      if (entry.address !== null) dropUnfinished(entry.address);
      this.#set(entry, { kind: "unsent", title: error.title, detail: error.message });
    } finally {
      this.#sendNext();
    }
  }

  #arrived(entry: UploadEntry, videoId: string): void {
    if (entry.address !== null) dropUnfinished(entry.address);
    entry.videoId = videoId;
    this.#set(entry, { kind: "processing", processing: null });
    this.#poller.follow(`video:${videoId}`, entry.life.signal);
    this.#poller.wake();
    for (const listener of this.#arrivalListeners) listener();
  }

  #progressOf(entry: UploadEntry, file: File) {
    const { name, size, lastModified } = file;
    let meter = new SpeedMeter();
    let keptAt = 0;
    const keep = (): void => {
      keptAt = performance.now();
      if (entry.address !== null) keepUnfinished({ name, size, lastModified, address: entry.address, sent: entry.sent, at: Date.now() });
    };
    return {
      onAddress: (address: string): void => {
        entry.address = address;
        keep();
      },
      onSent: (sent: number): void => {
        entry.sent = sent;
        meter.add(performance.now(), sent);
        if (performance.now() - keptAt > KEPT_MS) keep();
        this.#set(entry, sent < size ? { kind: "sending", sent, speed: meter.speed() } : { kind: "storing" });
      },
      onLost: (): void => {
        meter = new SpeedMeter();
        this.#set(entry, { kind: "lost", sent: entry.sent });
      },
    };
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

function isSame(unfinished: Unfinished | undefined, file: File): boolean {
  return unfinished !== undefined && isSameFile(unfinished, file);
}
