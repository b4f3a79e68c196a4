/** One file on its way to the server, by tus: what breaks off goes on by itself, at the byte where it was. A module of its own, loaded with the first file. */
import { DetailedError, Upload } from "tus-js-client";
import { problem } from "./api.ts";
import { titleOf } from "./format.ts";

const ENDPOINT = "/api/v1/uploads";
/** An upload that moves no byte for this long has lost its connection without noticing. */
const STALL_MS = 60_000;
const SOONEST_MS = 1000;
const LATEST_MS = 15_000;

export interface TransferOptions {
  /** Of an upload that was begun before. */
  readonly address: string | null;
  /** Aborted to pause: what has arrived stays, and `address` goes on from there. */
  readonly signal: AbortSignal;
  readonly onAddress: (address: string) => void;
  readonly onSent: (bytes: number) => void;
  /** The connection was lost; it is tried again. */
  readonly onLost: () => void;
}

/** Resolves with the id of the video when the server has every byte. Rejects with an ApiError when it does not want them, and when the signal is aborted. */
export async function transfer(file: File, options: TransferOptions): Promise<string> {
  const attempt = new Attempt(file, options);
  for (let delayMs = SOONEST_MS; ; delayMs = Math.min(LATEST_MS, delayMs * 2)) {
    const before = attempt.sent;
    try {
      return await attempt.run();
    } catch (error) {
      if (options.signal.aborted || !isPassing(error)) throw refusalOf(error);
      if (attempt.sent > before) delayMs = SOONEST_MS;
      options.onLost();
      await pause(delayMs, options.signal);
    }
  }
}

/** Ends an upload on the server, with its video. One that is gone already is none to care about. */
export async function endTransfer(address: string): Promise<void> {
  await Upload.terminate(address, { retryDelays: [1000, 5000] }).catch(() => undefined);
}

class Attempt {
  readonly #file: File;
  readonly #options: TransferOptions;
  #address: string | null;
  #video = "";
  sent = 0;

  constructor(file: File, options: TransferOptions) {
    this.#file = file;
    this.#options = options;
    this.#address = options.address;
  }

  async run(): Promise<string> {
    const { signal, onSent, onAddress } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const { name, type } = this.#file;
    const upload = new Upload(this.#file, {
      endpoint: ENDPOINT,
      uploadUrl: this.#address,
      storeFingerprintForResuming: false,
      retryDelays: null,
      metadata: { filename: name, title: titleOf(name), ...(type.startsWith("video/") ? { filetype: type } : {}) },
      onUploadUrlAvailable: () => {
        this.#address = upload.url;
        if (upload.url !== null) onAddress(upload.url);
      },
      onAfterResponse: (_request, response) => void (this.#video = response.getHeader("X-Video-Id") ?? this.#video),
      onProgress: (sent) => {
        stall.restart();
        this.sent = sent;
        onSent(sent);
      },
      onSuccess: () => resolve(this.#video),
      onError: reject,
    });
    const end = (error: Error): void => {
      void upload.abort();
      reject(error);
    };
    const stall = stallTimer(() => end(new Error("the upload came to a standstill")));
    const stop = () => end(new Error("paused"));
    const lose = () => end(new Error("the network is gone"));
    signal.addEventListener("abort", stop);
    // A request that is on its way would wait for minutes before it noticed.
    addEventListener("offline", lose);
    try {
      signal.throwIfAborted();
      upload.start();
      return await promise;
    } finally {
      stall.stop();
      signal.removeEventListener("abort", stop);
      removeEventListener("offline", lose);
    }
  }
}

/** Without an answer it is the network; 409 and 423 mean that an earlier request of ours still ends; the rest comes and goes with the server. */
function isPassing(error: unknown): boolean {
  const status = error instanceof DetailedError ? (error.originalResponse?.getStatus() ?? 0) : 0;
  return status === 0 || status >= 500 || [409, 423, 429].includes(status);
}

function refusalOf(error: unknown): unknown {
  const response = error instanceof DetailedError ? error.originalResponse : null;
  return response ? problem(response.getStatus(), response.getBody(), response.getHeader("Retry-After") ?? null) : error;
}

/** Until the time is over, or the network is back. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const wake = () => resolve();
  addEventListener("online", wake);
  signal.addEventListener("abort", wake);
  await promise;
  clearTimeout(timer);
  removeEventListener("online", wake);
  signal.removeEventListener("abort", wake);
}

function stallTimer(onStall: () => void): { restart(): void; stop(): void } {
  let timer = setTimeout(onStall, STALL_MS);
  const stop = () => clearTimeout(timer);
  return {
    stop,
    restart() {
      stop();
      timer = setTimeout(onStall, STALL_MS);
    },
  };
}
