/** The rules that keep what was acknowledged, each of which a run may switch off: a simulation that finds nothing then proves nothing. */

export interface Rules {
  /** A disk answers after fsync of the file. */
  readonly fileSync: boolean;
  /** A disk answers after fsync of the folder. */
  readonly folderSync: boolean;
  /** A write that took less than it was given goes on with the rest. */
  readonly shortWrites: boolean;
  /** Two disks have it before it is acknowledged. */
  readonly quorum: boolean;
  /** Copies that were missing at the commit are written down. */
  readonly missingCopies: boolean;
  /** What a disk lacks is found, and written down, when it is compared with the rows. */
  readonly comparing: boolean;
  /** A chunk has a row that is leased before its bytes go anywhere, and the commit asks for it. */
  readonly lease: boolean;
  /** A commit is refused when its lease is older than the time of grace. */
  readonly leaseEnds: boolean;
  /** A commit that was planned by an old ring is refused. */
  readonly epochCheck: boolean;
  /** A chunk that leaves is asked for again before each delete. */
  readonly leaving: boolean;
  /** A delete names the file that it saw. */
  readonly version: boolean;
  /** Nothing is collected before nobody has needed it for long. */
  readonly grace: boolean;
  /** Former owners delete when every present owner has it. */
  readonly verifyBeforeDelete: boolean;
  /** And when each of them has read it. */
  readonly readBeforeDelete: boolean;
  /** Readers of a partition that moves ask its former owners as well. */
  readonly former: boolean;
}

export const SHIPPED: Rules = {
  fileSync: true,
  folderSync: true,
  shortWrites: true,
  quorum: true,
  missingCopies: true,
  comparing: true,
  lease: true,
  leaseEnds: true,
  epochCheck: true,
  leaving: true,
  version: true,
  grace: true,
  verifyBeforeDelete: true,
  readBeforeDelete: true,
  former: true,
};

/** What `--rule-off` names: each a way to build it wrong that others have built. */
export const VARIANTS: Readonly<Record<string, Partial<Rules>>> = {
  "no-fsync": { fileSync: false },
  "no-folder-fsync": { folderSync: false },
  "short-writes": { shortWrites: false },
  "quorum-of-one": { quorum: false },
  "naive-collector": { lease: false, leaseEnds: false, leaving: false, version: false, grace: false },
  "no-lease": { lease: false, leaseEnds: false },
  "endless-lease": { leaseEnds: false },
  "no-grace": { grace: false },
  "no-recheck": { leaving: false },
  "no-version": { version: false },
  "no-epoch-check": { epochCheck: false },
  "no-missing-copies": { missingCopies: false },
  "no-comparing": { comparing: false },
  "neither-of-the-two": { missingCopies: false, comparing: false },
  "delete-before-verify": { verifyBeforeDelete: false },
  "delete-unread": { readBeforeDelete: false },
  "no-former-owners": { former: false },
};

/** Rules without which nothing goes wrong, because another one stands behind them: it is switched off together with them as well. */
export const COVERED: Readonly<Record<string, string>> = {
  "no-missing-copies": "comparing disks with rows finds the same copies, later: see neither-of-the-two",
};
