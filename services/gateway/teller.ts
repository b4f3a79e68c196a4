/** What a gateway has seen of viewers and tells the catalogue now and then, so that no request waits for it. */
import { createHmac } from "node:crypto";
import { repeat, type Repeated } from "../../mixins/repeat.ts";
import type { Key } from "./domain/signature.ts";

export class Teller {
  readonly #everyMs: number;
  readonly #tell: () => Promise<void>;
  #telling: Repeated | undefined;

  constructor(everyMs: number, tell: () => Promise<void>) {
    this.#everyMs = everyMs;
    this.#tell = tell;
  }

  start(onFailure: (error: unknown) => void): void {
    this.#telling = repeat(this.#everyMs, this.#tell, onFailure);
  }

  /** What is not told yet is told. */
  async stop(): Promise<void> {
    await this.#telling?.stop();
    await this.#tell().catch(() => {});
  }
}

/** Nobody who reads the table learns who it was, nor what else the same viewer has seen. The keys change each day. */
export function disguised(id: string, viewer: string, { secret }: Key): string {
  return createHmac("sha256", Buffer.from(secret, "base64url")).update(`play\n${id}\n${viewer}`).digest("hex").slice(0, 32);
}
