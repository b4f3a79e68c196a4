/** Which disks have to be compared now and not in their turn: those that may lack something since they were last seen. */

export interface SeenDisk {
  readonly id: string;
  readonly up: boolean;
  /** Chunks that it had to put into quarantine. */
  readonly faults: number;
}

export class Watch {
  readonly #seen = new Map<string, SeenDisk>();
  readonly #suspicious = new Set<string>();

  /** Looks at the disks as they are now. Whoever was away, or was never seen, may have missed something; so may one with new faults. */
  look(disks: readonly SeenDisk[]): void {
    for (const disk of disks) {
      const before = this.#seen.get(disk.id);
      if (disk.up && (!before?.up || disk.faults > before.faults)) this.#suspicious.add(disk.id);
      this.#seen.set(disk.id, disk.up || !before ? disk : { ...before, up: false });
    }
  }

  /** Those that answer, and are still to be compared. */
  get due(): string[] {
    return [...this.#suspicious].filter((id) => this.#seen.get(id)?.up);
  }

  compared(id: string): void {
    this.#suspicious.delete(id);
  }
}
