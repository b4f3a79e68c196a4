/** What the protocol needs of the rest of the system: rows of uploads, and a place for bytes. */
import type { Readable } from "node:stream";

export interface TusUpload {
  readonly id: string;
  readonly kind: "whole" | "partial" | "final";
  readonly state: "open" | "complete" | "stored" | "expired";
  readonly video: string | null;
  readonly length: number | null;
  readonly offset: number;
  readonly metadata: string;
  readonly concat: string | null;
  readonly expiresAt: string;
}

export interface TusHold {
  readonly id: string;
  readonly fence: string;
}

export interface Part {
  readonly blob: string;
  readonly size: number;
}

export interface NewTusUpload {
  readonly id: string;
  /** Null while the client does not know it. */
  readonly length: number | null;
  /** As it was sent, and what it says. A key without a value has null. */
  readonly metadata: string;
  readonly values: Readonly<Record<string, string | null>>;
}

/** In the name of whoever asks. Failures are those of the uploads' contract. */
export interface TusPorts {
  create(upload: NewTusUpload, kind: "whole" | "partial"): Promise<TusUpload>;
  join(upload: NewTusUpload, concat: string, partials: readonly string[]): Promise<TusUpload>;
  get(id: string): Promise<TusUpload>;
  remove(id: string): Promise<void>;
  hold(id: string): Promise<{ upload: TusUpload; fence: string }>;
  beat(hold: TusHold, idle: boolean): Promise<{ wanted: boolean }>;
  release(hold: TusHold): Promise<void>;
  declare(hold: TusHold, length: number): Promise<TusUpload>;
  append(hold: TusHold, start: number, parts: readonly Part[]): Promise<TusUpload>;
  /** Resolves when the bytes are durable. */
  write(stream: Readable, maxBytes: number): Promise<Part>;
  /** Runs what takes bytes in, if there is a place for it. TOO_BUSY. */
  admit<T>(work: () => Promise<T>): Promise<T>;
}
