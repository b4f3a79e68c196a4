/**
 * What the simulation counts with, and where each figure is from. Measured are those of `npm run bench:scale`, `npm run bench:cluster` and `npm run docs:trace`, on two cores that
 * other work shared (load 13 to 27, 23 November 2026): figures of a machine of its own are better, by a third or so. What nobody could measure here is from the
 * papers and data sheets that are named, or is an assumption, which is said.
 */

/** Work of transcoders, s of CPU. */
export const WORK = {
  /** To start an ffmpeg and let it read an index (decision 0039). */
  start: 0.25,
  /** Of all renditions together, a frame. bench:scale: 50.2 s for 24 s of 1080p and 14.4 s for 24 s of 480p, 30 frames a second; less 4 s and 3 s for sound, picture, inspection and starts. */
  frames: [
    { height: 1080, cpuS: 0.064 },
    { height: 480, cpuS: 0.016 },
  ],
  /** Sound is encoded 60 times faster than it is heard (services/transcoder/domain/plan.ts). */
  audioSecond: 1 / 60,
  /** bench:scale. */
  inspect: 0.24,
  /** bench:scale: 0.85 s of 480p with its start; of 1080p it was held for longer, but stood still. */
  picture: 0.6,
  /** docs:trace. */
  storyboard: 0.2,
} as const;

/** What an upload and a publication take besides work, s (docs:trace: `videos.create` 24 ms, `videos.applyPlan` 27 ms, `storage.put` and `videos.publish` of a first segment). */
export const STEPS = { create: 0.024, plan: 0.027, publish: 0.1 } as const;

/** Transactions of PostgreSQL (docs:trace). */
export const TRANSACTIONS = {
  /** 36 leases, 35 commits and 24 publications for 40 segments. */
  segment: 95 / 40,
  /** The claim, the first beat, the end. */
  job: 3,
  /** The upload, its row, inspection, plan, picture, storyboard. */
  upload: 25,
} as const;

/** CPU, s. */
export const CONTROL = {
  /** bench:scale: 1.92 s of PostgreSQL for 8,013 transactions of two conversions. */
  transaction: 0.24e-3,
  /** bench:scale: a claim when no job waits; with 100,000 that wait it is not dearer. */
  claim: 0.355e-3,
  /** bench:scale, of a node that decides: 0.43 ms for a claim in one process; and 0.1 ms for the way over NATS (bench:cluster: 11,623 calls a second on two cores). */
  call: 0.53e-3,
} as const;

/** Per GB of content: bench:scale, cold. Three copies are written. */
export const BYTES = { gatewayWrite: 6.54, disksWrite: 15.87, read: 4.78, disksRead: 1.86 } as const;

/** bench:cluster: CPU of a gateway for a segment of 1.9 MiB, s. */
export const PLAYED_SEGMENT = 1.13e-3;

/** mixins/worker.mixin.ts, and services/jobs/jobs.service.ts (REAP_MS). */
export const WORKERS = { pollS: 2, beatS: 1, leaseS: 3 + 1 } as const;
/** moleculer.config.ts: each node tells every other one that it lives. */
export const HEARTBEAT_S = 2;

/**
 * Uploads. The median length of a video of YouTube is 64 s (McGrady, Zheng, Curran, Baumgartner, Zuckerman: "Dialing for Videos", Journal of Quantitative Description 3, 2023). That lengths are log-normal, and their
 * spread, are assumptions: with 1.6 the mean is 230 s. Bitrates are what YouTube recommends for uploads (support.google.com/youtube/answer/1722171); the shares are an assumption.
 */
export const UPLOADS = {
  medianS: 64,
  sigma: 1.6,
  sizes: [
    { share: 0.5, width: 1920, height: 1080, bitrate: 8e6 },
    { share: 0.3, width: 1280, height: 720, bitrate: 5e6 },
    { share: 0.2, width: 854, height: 480, bitrate: 2.5e6 },
  ],
} as const;

/**
 * Failures. Of 300,000 hard disks 1.57 % failed in 2024 (Backblaze Drive Stats for 2024). Of servers 8 % see a fault of the hardware in a year (Vishwanath, Nagappan: "Characterizing Cloud Computing
 * Hardware Reliability", SoCC 2010); programs, updates and machines that are rented by the hour end more often: once in 30 days, back after 10 minutes, is an assumption.
 */
export const FAILURES = { diskAYear: 0.0157, transcoderS: 30 * 86_400, backS: 600 } as const;

/** A disk of 20 TB (Seagate Exos X20, data sheet: 285 MB/s at most), half full. Shelves of 25 disks fail together, so they are zones: assumptions. */
export const DISKS = { bytes: 20e12, filled: 0.5, perZone: 25, bytesASecond: 285e6 } as const;
