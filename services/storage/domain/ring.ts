/** The ring as storage uses it: where a chunk belongs, and who stands in. */

export interface StorageDisk {
  readonly id: string;
  readonly address: string;
  readonly zone: string;
}

export interface Placement {
  readonly epoch: number;
  readonly disks: readonly StorageDisk[];
  /** Who should have a chunk, the preferred first. */
  readonly owners: (chunk: string) => readonly StorageDisk[];
  /** Everybody else, in the order in which they stand in. */
  readonly others: (chunk: string) => readonly StorageDisk[];
}
