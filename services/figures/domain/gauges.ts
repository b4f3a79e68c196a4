/** The figures of the storage cluster: their names, their labels, and how they follow from what services tell. */

interface Gauge {
  readonly labels: readonly string[];
  readonly about: string;
}

export const gauges = {
  "tritontube.ring.epoch": { labels: [], about: "The number of the ring: each change counts one." },
  "tritontube.disks": { labels: ["state", "condition"], about: "Disks by what they are to the ring, and whether they answer." },
  "tritontube.disk.capacity.bytes": { labels: ["disk", "zone"], about: "What a disk holds at most." },
  "tritontube.disk.free.bytes": { labels: ["disk", "zone"], about: "What a disk would still take." },
  "tritontube.disk.chunks": { labels: ["disk", "zone"], about: "Chunks on a disk." },
  "tritontube.disk.readonly": { labels: ["disk", "zone"], about: "1 while a disk takes no more chunks." },
  "tritontube.disk.faults": { labels: ["disk", "zone"], about: "Chunks of a disk that were bad, since it was new." },
  "tritontube.disk.scrub.age.seconds": { labels: ["disk", "zone"], about: "Every chunk of the disk was verified within this time." },
  "tritontube.missing.copies": { labels: ["disk"], about: "Copies that a disk should have and has not." },
  "tritontube.missing.bytes": { labels: ["disk"], about: "Bytes of the copies that a disk lacks." },
  "tritontube.missing.age.seconds": { labels: ["disk"], about: "How long the oldest of them has been missing." },
  "tritontube.moves.partitions.left": { labels: [], about: "Partitions that are not where the ring wants them." },
  "tritontube.moves.bytes.left": { labels: [], about: "Bytes that have to be moved yet." },
  "tritontube.moves.chunks.lost": { labels: [], about: "Chunks that the last change of the ring passed over: no disk has a good copy." },
  "tritontube.collect.blobs": { labels: [], about: "Blobs that nothing names: deleted at the end of their time of grace." },
  "tritontube.collect.chunks": { labels: ["state"], about: "Chunks that no blob contains: in their time of grace, or being deleted." },
  "tritontube.collect.bytes": { labels: ["state"], about: "Bytes of those chunks." },
  "tritontube.collect.age.seconds": { labels: [], about: "How long nobody has touched the oldest of them." },
  "tritontube.jobs": { labels: ["kind", "state"], about: "Jobs that are not done." },
  "tritontube.jobs.retried": { labels: ["kind"], about: "Jobs that have failed and are tried again." },
  "tritontube.jobs.age.seconds": { labels: ["kind"], about: "How long the oldest queued job of a kind has waited." },
} as const satisfies Record<string, Gauge>;

export type Readings = Readonly<
  Record<keyof typeof gauges, readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[]>
>;

interface Disk {
  readonly id: string;
  readonly zone: string;
  readonly state: string;
  readonly up: boolean;
  readonly capacityBytes: number;
  readonly freeBytes: number;
  readonly chunks: number;
  readonly faults: number;
  readonly readOnly: string | null;
  readonly verifiedSince: string | null;
}

interface Progress {
  readonly total: number;
  readonly done: number;
}

interface Amount {
  readonly count: number;
  readonly bytes: number;
}

interface Told {
  readonly epoch: number;
  readonly disks: readonly Disk[];
  readonly moves: { readonly partitions: Progress; readonly bytes: Progress; readonly lostChunks: number };
  readonly backlog: readonly { readonly disk: string; readonly copies: number; readonly bytes: number; readonly oldest: string }[];
  readonly unneeded: { readonly blobs: number; readonly pending: Amount; readonly leaving: Amount; readonly oldestS: number };
  readonly depth: readonly {
    readonly kind: string;
    readonly queued: number;
    readonly running: number;
    readonly failed: number;
    readonly retried: number;
    readonly oldestS: number;
  }[];
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Of a disk that does not answer only its state is told: no figure is better than an old one. */
export function readingsOf({ epoch, disks, moves, backlog, unneeded, depth, now }: Told): Readings {
  const up = disks.filter((disk) => disk.up);
  const ofDisks = (value: (disk: Disk) => number) => up.map((disk) => ({ labels: { disk: disk.id, zone: disk.zone }, value: value(disk) }));
  const ofBacklog = (value: (of: Told["backlog"][number]) => number) =>
    backlog.map((of) => ({ labels: { disk: of.disk }, value: value(of) }));
  const ofStates = (value: (of: Amount) => number) =>
    (["pending", "leaving"] as const).map((state) => ({ labels: { state }, value: value(unneeded[state]) }));
  const secondsSince = (iso: string): number => Math.max(0, (now - Date.parse(iso)) / 1000);
  const left = ({ total, done }: Progress) => single(Math.max(0, total - done));
  return {
    "tritontube.ring.epoch": single(epoch),
    "tritontube.disks": [...Map.groupBy(disks, (disk) => `${disk.state} ${disk.up ? "up" : "down"}`)].map(([key, members]) => {
      const [state = "", condition = ""] = key.split(" ");
      return { labels: { state, condition }, value: members.length };
    }),
    "tritontube.disk.capacity.bytes": ofDisks((disk) => disk.capacityBytes),
    "tritontube.disk.free.bytes": ofDisks((disk) => disk.freeBytes),
    "tritontube.disk.chunks": ofDisks((disk) => disk.chunks),
    "tritontube.disk.readonly": ofDisks((disk) => (disk.readOnly === null ? 0 : 1)),
    "tritontube.disk.faults": ofDisks((disk) => disk.faults),
    "tritontube.disk.scrub.age.seconds": ofDisks((disk) =>
      disk.verifiedSince === null ? Infinity : secondsSince(disk.verifiedSince),
    ).filter(({ value }) => value < Infinity),
    "tritontube.missing.copies": ofBacklog(({ copies }) => copies),
    "tritontube.missing.bytes": ofBacklog(({ bytes }) => bytes),
    "tritontube.missing.age.seconds": ofBacklog(({ oldest }) => secondsSince(oldest)),
    "tritontube.moves.partitions.left": left(moves.partitions),
    "tritontube.moves.bytes.left": left(moves.bytes),
    "tritontube.moves.chunks.lost": single(moves.lostChunks),
    "tritontube.collect.blobs": single(unneeded.blobs),
    "tritontube.collect.chunks": ofStates(({ count }) => count),
    "tritontube.collect.bytes": ofStates(({ bytes }) => bytes),
    "tritontube.collect.age.seconds": single(unneeded.oldestS),
    "tritontube.jobs": depth.flatMap(({ kind, queued, running, failed }) =>
      Object.entries({ queued, running, failed }).map(([state, value]) => ({ labels: { kind, state }, value })),
    ),
    "tritontube.jobs.retried": depth.map(({ kind, retried }) => ({ labels: { kind }, value: retried })),
    "tritontube.jobs.age.seconds": depth.map(({ kind, oldestS }) => ({ labels: { kind }, value: oldestS })),
  };
}

function single(value: number): { labels: Record<string, string>; value: number }[] {
  return [{ labels: {}, value }];
}
