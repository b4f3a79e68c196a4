/** The ring as storage uses it: where a chunk belongs, and who stands in. */

export interface StorageDisk {
  readonly id: string;
  readonly address: string;
  readonly zone: string;
}

export interface Placement {
  readonly epoch: number;
  /** Those that take chunks. */
  readonly disks: readonly StorageDisk[];
  /** Those that take no chunks any more, and may still have some. */
  readonly leaving: readonly StorageDisk[];
  /** Who should have a chunk, the preferred first. */
  readonly owners: (chunk: string) => readonly StorageDisk[];
  /** Who had a chunk before it began to move, and has it for sure; nobody when it does not move. */
  readonly former: (chunk: string) => readonly StorageDisk[];
  /** Everybody else who takes chunks, in the order in which they stand in. */
  readonly others: (chunk: string) => readonly StorageDisk[];
}
