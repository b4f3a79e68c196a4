/** The API as its description has it. Written by `npm run api:generate`: do not edit. */

/** What a person uploads and watches. Null is “not known yet” or “there is none”. */
export interface Video {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly status: "uploading" | "queued" | "processing" | "ready" | "failed" | "deleted";
  /** whether its first seconds can be watched */
  readonly playable: boolean;
  /** 0 to 1, of the work between the upload and `ready` */
  readonly progress: number;
  readonly visibility: "public" | "unlisted" | "private";
  readonly owner: string | null;
  /** RFC 3339, UTC */
  readonly createdAt: string;
  /** RFC 3339, UTC */
  readonly updatedAt: string;
  readonly deletedAt: string | null;
  /** seconds */
  readonly duration: number | null;
  /** bytes of the source */
  readonly size: number;
  readonly width: number | null;
  readonly height: number | null;
  readonly frameRate: number | null;
  readonly container: string | null;
  readonly videoCodec: string | null;
  readonly audioCodec: string | null;
  readonly renditions: readonly Rendition[];
  /** how often it was watched: ten seconds or all of it, each viewer once in half an hour */
  readonly views: number;
  /** null until the video is playable */
  readonly manifests: {
    readonly dash: string | null;
    readonly hls: string | null;
  };
  readonly thumbnail: string | null;
  readonly storyboard: string | null;
  readonly captions: readonly ({
    /** a tag of BCP 47 */
    readonly language: string;
    /** an address on this server */
    readonly url: string;
  })[];
  readonly error: Reason | null;
}

/** One quality of a video. */
export interface Rendition {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  /** bits a second of the heaviest segment */
  readonly bitrate: number;
  /** RFC 6381 */
  readonly codecs: string;
}

/** Why something failed. */
export interface Reason {
  /** a code of the table of errors */
  readonly code: string;
  readonly message: string;
}

/** Where in a list one is. */
export interface Page {
  /** null when a cursor was given: then pages have no numbers */
  readonly page: number | null;
  readonly limit: number;
  readonly total: number;
  /** whether the total is a guess: of a long list, a thousand are counted */
  readonly totalEstimated: boolean;
  readonly hasMore: boolean;
  readonly nextCursor: string | null;
  /** what was searched for instead, since what was asked for finds nothing */
  readonly corrected: string | null;
}

/** RFC 9457. */
export interface Problem {
  /** the code as a URN */
  readonly type: string;
  /** the same for each refusal with this code */
  readonly title: string;
  /** of HTTP */
  readonly status: number;
  /** what was wrong this time, for a person */
  readonly detail: string;
  /** the address that was asked */
  readonly instance: string;
  /** a stable word of the table of errors: what programs branch on */
  readonly code: string;
  /** by which an operator finds it in the logs */
  readonly requestId: string;
  /** what validation refused, one entry a field */
  readonly errors?: readonly ({
    /** `title`, `tags.0`, `set.title`, the name of a header; empty for the whole body */
    readonly path: string;
    /** follows the path: `must be …` */
    readonly message: string;
  })[];
  /** the detail once more, at the addresses of the first TritonTube */
  readonly message?: string;
}

/** What became of one file of a form. */
export interface UploadResult {
  readonly filename: string;
  /** what the file alone would have been answered */
  readonly status: number;
  readonly video: Video | null;
  readonly error: {
    readonly code: string;
    readonly title: string;
    readonly detail: string;
  } | null;
}

/** How far the work on a video is. */
export interface Processing {
  readonly id: string;
  readonly status: "uploading" | "queued" | "processing" | "ready" | "failed" | "deleted";
  readonly playable: boolean;
  readonly progress: number;
  readonly stages: readonly Stage[];
  /** per rendition, segments stored of all that were planned */
  readonly renditions: readonly ({
    readonly name: string;
    readonly segmentsDone: number;
    readonly segmentsTotal: number;
    readonly progress: number;
  })[];
  /** conversion jobs that are done */
  readonly spansDone: number;
  readonly spansTotal: number;
  /** an estimate; null before there is any */
  readonly secondsLeft: number | null;
  readonly attempts: number;
  readonly error: Reason | null;
}

/** One kind of the work on a video. */
export interface Stage {
  readonly name: "inspect" | "video" | "audio" | "picture";
  readonly state: "waiting" | "running" | "done" | "failed" | "cancelled";
  readonly progress: number;
  readonly attempts: number;
  readonly error: {
    readonly type: string;
    readonly message: string;
    readonly [name: string]: unknown;
  } | null;
}

/** A video for whoever watches another one, and why. */
export interface Recommendation {
  readonly video: Video;
  readonly reason: {
    readonly kind: "tags" | "owner" | "popular" | "new";
    /** those that both videos have */
    readonly tags?: readonly string[];
  };
}

/** What became of one video of a batch. */
export interface BatchResult {
  readonly id: string;
  /** what the operation alone would have been answered */
  readonly status: number;
  /** as it is now; null when it is gone, or nothing was done */
  readonly video: Video | null;
  readonly error: {
    readonly code: string;
    readonly title: string;
    readonly detail: string;
  } | null;
}

/** One upload of several that were made at once. */
export interface UploadCreation {
  /** what it alone would have been answered */
  readonly status: number;
  /** where its bytes go */
  readonly location: string | null;
  readonly video: Video | null;
  readonly error: {
    readonly code: string;
    readonly title: string;
    readonly detail: string;
  } | null;
}

/** Addresses that let whoever has them watch, until they expire. They are signed also where there is nothing behind them yet. */
export interface SignedAddresses {
  /** RFC 3339, UTC */
  readonly expiresAt: string;
  readonly signature: string;
  /** an address on this server */
  readonly video: string;
  /** an address on this server */
  readonly events: string;
  readonly manifests: {
    /** an address on this server */
    readonly dash: string;
    /** an address on this server */
    readonly hls: string;
  };
  /** an address on this server */
  readonly thumbnail: string;
  /** an address on this server */
  readonly storyboard: string;
}

/** Who has watched in a time. */
export interface Statistics {
  readonly views: number;
  /** each once a day */
  readonly viewers: number;
  readonly watchSeconds: number;
  /** of players that tell; the rest but views is of those */
  readonly viewings: number;
  readonly averageViewSeconds: number;
  /** until the first picture, of half of the viewings less; null when none told */
  readonly startupSeconds: number | null;
  /** of the time, how much was waited for more */
  readonly rebufferRatio: number;
  readonly errors: number;
  readonly series: readonly ({
    /** RFC 3339, UTC */
    readonly at: string;
    readonly views: number;
    /** each once a day */
    readonly viewers: number;
    readonly watchSeconds: number;
  })[];
  /** which share of the viewings has seen each hundredth of the video; none for many videos */
  readonly retention: readonly number[];
}

/** A video that many have watched lately. */
export interface PopularVideo {
  readonly video: Video;
  readonly score: number;
  /** of the last fortnight */
  readonly views: number;
}

/** Who asks. */
export interface Session {
  /** `none`: nobody signs in here */
  readonly mode: "none" | "token" | "basic";
  readonly role: "anonymous" | "viewer" | "uploader" | "admin";
  readonly user: User | null;
}

/** Somebody who may sign in. */
export interface User {
  readonly id: string;
  readonly name: string;
  readonly role: "viewer" | "uploader" | "admin";
  /** RFC 3339, UTC */
  readonly createdAt: string;
  readonly disabledAt: string | null;
}

/** Something that was done. */
export interface AuditEntry {
  readonly id: string;
  /** RFC 3339, UTC */
  readonly at: string;
  readonly user: string | null;
  readonly role: string;
  /** an operation of this API */
  readonly action: string;
  /** what it was done to */
  readonly subject: string | null;
  /** `done`, or the code of the failure */
  readonly outcome: string;
  readonly address: string;
  readonly requestId: string;
  readonly details: {
    readonly [name: string]: unknown;
  };
}

/** What a program shows. When it was used is noted once a minute. */
export interface Token {
  readonly id: string;
  readonly name: string;
  readonly role: "viewer" | "uploader" | "admin";
  /** RFC 3339, UTC */
  readonly createdAt: string;
  /** RFC 3339, UTC */
  readonly expiresAt: string;
  readonly usedAt: string | null;
}

/** A token with its secret, which is never shown again. */
export interface NewToken {
  readonly id: string;
  readonly name: string;
  readonly role: "viewer" | "uploader" | "admin";
  /** RFC 3339, UTC */
  readonly createdAt: string;
  /** RFC 3339, UTC */
  readonly expiresAt: string;
  readonly usedAt: string | null;
  readonly secret: string;
}

/** Which disks own which partition, in figures. */
export interface Ring {
  readonly epoch: number;
  readonly partitions: number;
  readonly replicas: number;
  readonly staged: readonly RingChange[];
  readonly moves: Moves;
}

/** What the next ring is to change. */
export interface RingChange {
  readonly disk: string;
  readonly change: "add" | "drain" | "remove" | "weight";
  /** null: its capacity */
  readonly weight: number | null;
}

/** How far the moves of the last change are. */
export interface Moves {
  readonly epoch: number;
  readonly partitions: {
    readonly total: number;
    readonly done: number;
  };
  readonly chunks: {
    readonly total: number;
    readonly done: number;
  };
  readonly bytes: {
    readonly total: number;
    readonly done: number;
  };
  /** passed over: no disk that is known has a good copy */
  readonly lostChunks: number;
  /** bytes */
  readonly copiedBytes: number;
  readonly bytesPerSecond: number;
  /** null while it is not known, 0 when nothing moves */
  readonly secondsLeft: number | null;
}

/** What applying the staged changes would do. */
export interface RingPlan {
  /** the ring that it starts from: what apply must be told */
  readonly epoch: number;
  readonly changes: readonly RingChange[];
  /** that change owners */
  readonly partitions: number;
  /** of partitions that have to be made */
  readonly copies: number;
  /** the fewest copies that any table with these shares needs */
  readonly minimum: number;
  /** copies of chunks that have to be made */
  readonly chunks: number;
  /** bytes */
  readonly bytes: number;
  readonly disks: readonly ({
    readonly id: string;
    readonly address: string;
    readonly zone: string;
    /** bytes */
    readonly capacityBytes: number;
    readonly before: {
      /** what it is to the ring */
      readonly state: "spare" | "in" | "draining" | "out" | "removed";
      /** bytes */
      readonly weight: number;
      readonly partitions: number;
      /** bytes */
      readonly bytes: number;
    };
    readonly after: {
      /** what it is to the ring */
      readonly state: "spare" | "in" | "draining" | "out" | "removed";
      /** bytes */
      readonly weight: number;
      readonly partitions: number;
      /** bytes */
      readonly bytes: number;
    };
  })[];
  readonly warnings: readonly string[];
}

/** A process that keeps chunks in one folder. */
export interface Disk {
  readonly id: string;
  /** host:port */
  readonly address: string;
  readonly zone: string;
  /** what it is to the ring */
  readonly state: "spare" | "in" | "draining" | "out" | "removed";
  /** whether it answered just now */
  readonly up: boolean;
  /** why it is not up */
  readonly reason: string | null;
  readonly downSince: string | null;
  /** bytes that it counts for */
  readonly weight: number;
  /** that it owns */
  readonly partitions: number;
  /** bytes */
  readonly capacityBytes: number;
  /** bytes */
  readonly freeBytes: number;
  readonly chunks: number;
  /** chunks that were bad since it was new */
  readonly faults: number;
  /** why it takes no more chunks for now */
  readonly readOnly: string | null;
  /** of deleted chunks that can still be brought back */
  readonly trashBytes: number;
  /** of files that were not what their names said */
  readonly quarantineBytes: number;
  /** every chunk was verified then or later */
  readonly verifiedSince: string | null;
  readonly scrub: "running" | "paused" | "resting";
  /** of the pass that is under way, or of the last one */
  readonly scrubbed: number;
}

/** Everything that is staged, and what it would do. */
export interface Staged {
  readonly changes: readonly RingChange[];
  readonly plan: RingPlan | null;
  /** why there is no plan: what is staged so far cannot be applied alone */
  readonly refusal: string | null;
}

/** What is stored, and what it takes. */
export interface StorageUsage {
  /** blobs, as long as they are */
  readonly logical: {
    readonly count: number;
    /** bytes */
    readonly bytes: number;
  };
  /** chunks that they are made of, each once */
  readonly unique: {
    readonly count: number;
    /** bytes */
    readonly bytes: number;
  };
  /** copies that the ring wants of them */
  readonly physical: {
    readonly count: number;
    /** bytes */
    readonly bytes: number;
  };
  /** did not have to be stored: it was there */
  readonly deduplicated: {
    readonly count: number;
    /** bytes */
    readonly bytes: number;
  };
  /** on its way in, or waiting for the end of its time of grace */
  readonly pending: {
    readonly count: number;
    /** bytes */
    readonly bytes: number;
  };
  /** being deleted */
  readonly leaving: {
    readonly count: number;
    /** bytes */
    readonly bytes: number;
  };
  /** copies that owners have not yet */
  readonly missing: {
    readonly count: number;
    /** bytes */
    readonly bytes: number;
  };
}

/** What a disk lacks. */
export interface Backlog {
  readonly disk: string;
  readonly copies: number;
  /** bytes */
  readonly bytes: number;
  readonly oldest: string;
}

/** A piece of work that must happen. */
export interface Job {
  readonly id: string;
  readonly kind: "video.inspect" | "video.foresee" | "video.span" | "video.audio" | "video.picture" | "video.captions" | "video.storyboard" | "upload.finish" | "partition.move" | "disk.repair" | "disk.compare" | "chunks.collect";
  readonly state: "queued" | "running" | "done" | "failed" | "cancelled";
  readonly videoId: string | null;
  /** higher is sooner, within a kind */
  readonly priority: number;
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly progress: number;
  /** who holds it, or held it last */
  readonly worker: string | null;
  /** of the last attempt */
  readonly failure: {
    readonly type: string;
    readonly message: string;
    readonly log?: string;
  } | null;
  readonly createdAt: string;
  /** not before this; null: waits for bytes of an upload */
  readonly runAt: string | null;
  readonly finishedAt: string | null;
}

/** Whether the main job works, and which part is to blame when it does not. */
export interface Health {
  readonly status: "ok" | "degraded" | "down";
  readonly checks: {
    readonly database: HealthCheck;
    readonly broker: HealthCheck;
    readonly disks: HealthCheck;
    readonly queue: HealthCheck;
    readonly transcoder: HealthCheck;
  };
  readonly version: string;
  /** seconds */
  readonly uptime: number;
}

/** One part of the main job. */
export interface HealthCheck {
  readonly status: "ok" | "degraded" | "down";
  readonly [name: string]: unknown;
}

/** Operations by method and path: what each is asked with, what it answers, and which headers tell something beside it. */
export interface Operations {
  "GET /api/v1/videos": {
    readonly asked: {
      readonly query?: {
        /** by number; beyond the last, go on with the cursor */
        readonly page?: number;
        /** videos on a page */
        readonly limit?: number;
        /** the nextCursor of an earlier page; not beside page */
        readonly cursor?: string;
        /** words that a video has in its title, its tags or its description; also their beginnings, without accents, and mistyped */
        readonly q?: string;
        /** what the list is ordered by, - for descending; default -createdAt, and relevance for a search */
        readonly sort?: "createdAt" | "-createdAt" | "title" | "-title" | "duration" | "-duration" | "views" | "-views" | "relevance";
        /** only videos in this state; with `trash=true`, those that were in it when they were deleted */
        readonly status?: "uploading" | "queued" | "processing" | "ready" | "failed";
        /** only videos with this tag */
        readonly tag?: string;
        /** only videos made at this time or later */
        readonly createdAfter?: string;
        /** only videos made before this time */
        readonly createdBefore?: string;
        /** only videos of so many seconds or more */
        readonly minDuration?: number;
        /** only videos of so many seconds or fewer */
        readonly maxDuration?: number;
        /** only videos that are seen by these; unlisted and private ones are shown to their owner */
        readonly visibility?: "public" | "unlisted" | "private";
        /** only videos of this user */
        readonly owner?: string;
        /** true shows what its owner has deleted and can restore */
        readonly trash?: boolean;
      };
      readonly headers?: {
        /** An `ETag` that was answered before: while it is still the same, the answer is 304 without a body. */
        readonly "If-None-Match"?: string;
      };
    };
    readonly answer: {
      readonly data: readonly Video[];
      readonly meta: Page;
    };
    readonly told: "Link" | "ETag";
  };
  "GET /api/v1/videos/{id}": {
    readonly asked: {
      readonly path: {
        /** as it was answered */
        readonly id: string;
      };
      readonly query?: {
        /** of a signed address: whoever has it may watch this video for a while */
        readonly signature?: string;
      };
      readonly headers?: {
        /** An `ETag` that was answered before: while it is still the same, the answer is 304 without a body. */
        readonly "If-None-Match"?: string;
      };
    };
    readonly answer: {
      readonly data: Video;
    };
    readonly told: "ETag";
  };
  "PATCH /api/v1/videos/{id}": {
    readonly asked: {
      readonly path: {
        /** as it was answered */
        readonly id: string;
      };
      readonly headers?: {
        /** The ETag of the video as it was read: if somebody has edited it since, nothing is done. */
        readonly "If-Match"?: string;
      };
      readonly body?: {
        /** 1 to 200 characters in one line */
        readonly title?: string;
        /** up to 5000 characters, in lines */
        readonly description?: string;
        /** up to 30, of up to 50 characters each, in the place of those before */
        readonly tags?: readonly string[];
        readonly visibility?: "public" | "unlisted" | "private";
      };
    };
    readonly answer: {
      readonly data: Video;
    };
    readonly told: "ETag";
  };
  "DELETE /api/v1/videos/{id}": {
    readonly asked: {
      readonly path: {
        /** as it was answered */
        readonly id: string;
      };
      readonly query?: {
        /** true deletes it for ever, whether it is in the trash or not */
        readonly purge?: boolean;
      };
      readonly headers?: {
        /** The ETag of the video as it was read: if somebody has edited it since, nothing is done. */
        readonly "If-Match"?: string;
      };
    };
    readonly answer: undefined;
    readonly told: never;
  };
  "GET /api/v1/videos/{id}/status": {
    readonly asked: {
      readonly path: {
        /** as it was answered */
        readonly id: string;
      };
      readonly query?: {
        /** of a signed address: whoever has it may watch this video for a while */
        readonly signature?: string;
      };
    };
    readonly answer: {
      readonly data: Processing;
    };
    readonly told: never;
  };
  "POST /api/v1/videos/{id}/events": {
    readonly asked: {
      readonly path: {
        /** as it was answered */
        readonly id: string;
      };
      readonly query?: {
        /** of a signed address: whoever has it may watch this video for a while */
        readonly signature?: string;
      };
      readonly body: {
        /** made up by the player, one for each time that somebody watches a video */
        readonly session: string;
        readonly events: readonly ({
          readonly type: "start" | "beat" | "seek" | "rebuffer" | "error" | "end";
          /** by the player's clock: of what is told twice, the second counts nothing */
          readonly at: string;
          /** where in the video */
          readonly position?: number;
          /** which seconds of the video were shown since the last event */
          readonly watched?: readonly (readonly unknown[])[];
          /** of what is shown, bits a second */
          readonly bitrate?: number;
          /** how long it took: a start until the first picture, a rebuffer until it went on */
          readonly seconds?: number;
        })[];
      };
    };
    readonly answer: undefined;
    readonly told: never;
  };
  "GET /api/v1/videos/{id}/recommendations": {
    readonly asked: {
      readonly path: {
        /** as it was answered */
        readonly id: string;
      };
      readonly query?: {
        /** how many */
        readonly limit?: number;
      };
    };
    readonly answer: {
      readonly data: readonly Recommendation[];
    };
    readonly told: never;
  };
  "POST /api/v1/videos/{id}/restore": {
    readonly asked: {
      readonly path: {
        /** as it was answered */
        readonly id: string;
      };
    };
    readonly answer: {
      readonly data: Video;
    };
    readonly told: "ETag";
  };
  "POST /api/v1/videos/{id}/retry": {
    readonly asked: {
      readonly path: {
        /** as it was answered */
        readonly id: string;
      };
    };
    readonly answer: {
      readonly data: Video;
    };
    readonly told: "ETag";
  };
  "POST /api/v1/videos/batch": {
    readonly asked: {
      readonly body: {
        readonly operation: "delete" | "restore" | "purge" | "update" | "retry";
        readonly ids: readonly string[];
        /** for update: what to say anew of each */
        readonly set?: {
          /** 1 to 200 characters in one line */
          readonly title?: string;
          /** up to 5000 characters, in lines */
          readonly description?: string;
          /** up to 30, of up to 50 characters each, in the place of those before */
          readonly tags?: readonly string[];
          readonly visibility?: "public" | "unlisted" | "private";
        };
      };
    };
    readonly answer: {
      readonly data: readonly BatchResult[];
    };
    readonly told: never;
  };
  "DELETE /api/v1/videos/{id}/captions/{language}.vtt": {
    readonly asked: {
      readonly path: {
        /** as it was answered */
        readonly id: string;
        /** a tag of BCP 47, such as de, pt-BR or zh-Hant */
        readonly language: string;
      };
      readonly headers?: {
        /** The ETag of the video as it was read: if somebody has edited it since, nothing is done. */
        readonly "If-Match"?: string;
      };
    };
    readonly answer: undefined;
    readonly told: never;
  };
  "OPTIONS /api/v1/uploads": {
    readonly asked: {};
    readonly answer: undefined;
    readonly told: "Tus-Version" | "Tus-Extension" | "Tus-Max-Size" | "Tus-Checksum-Algorithm";
  };
  "POST /api/v1/uploads/batch": {
    readonly asked: {
      readonly body: {
        readonly uploads: readonly ({
          /** up to 200 characters in one line; else the file's name */
          readonly title?: string;
          /** up to 5000 characters, in lines */
          readonly description?: string;
          /** up to 30, of up to 50 characters each, with commas between them: `sea,sun` */
          readonly tags?: string | readonly string[];
          /** who finds and sees it; `public` where it is left out or empty */
          readonly visibility?: "public" | "unlisted" | "private" | "";
          readonly filename?: string;
          readonly filetype?: string;
          /** bytes; may be left out, and told later */
          readonly length?: number;
        })[];
      };
    };
    readonly answer: {
      readonly data: readonly UploadCreation[];
    };
    readonly told: never;
  };
  "OPTIONS /api/v1/uploads/{id}": {
    readonly asked: {
      readonly path: {
        /** as it was answered */
        readonly id: string;
      };
    };
    readonly answer: undefined;
    readonly told: "Tus-Version" | "Tus-Extension" | "Tus-Max-Size" | "Tus-Checksum-Algorithm";
  };
  "HEAD /api/v1/uploads/{id}": {
    readonly asked: {
      readonly path: {
        /** as it was answered */
        readonly id: string;
      };
      readonly headers: {
        /** 1.0.0 */
        readonly "Tus-Resumable": string;
      };
    };
    readonly answer: undefined;
    readonly told: "Upload-Offset" | "Upload-Expires" | "X-Video-Id" | "Upload-Length" | "Upload-Metadata" | "Upload-Concat";
  };
  "DELETE /api/v1/uploads/{id}": {
    readonly asked: {
      readonly path: {
        /** as it was answered */
        readonly id: string;
      };
      readonly headers: {
        /** 1.0.0 */
        readonly "Tus-Resumable": string;
      };
    };
    readonly answer: undefined;
    readonly told: never;
  };
  "POST /api/v1/videos/{id}/signature": {
    readonly asked: {
      readonly path: {
        /** as it was answered */
        readonly id: string;
      };
      readonly body?: {
        /** how long they are valid */
        readonly seconds?: number;
      };
    };
    readonly answer: {
      readonly data: SignedAddresses;
    };
    readonly told: never;
  };
  "GET /api/v1/videos/{id}/analytics": {
    readonly asked: {
      readonly path: {
        /** as it was answered */
        readonly id: string;
      };
      readonly query?: {
        /** the beginning; default 30 days before the end */
        readonly from?: string;
        /** the end, which is not part of it; default now */
        readonly to?: string;
        /** what one point of the chart stands for, in UTC */
        readonly interval?: "hour" | "day" | "week";
      };
    };
    readonly answer: {
      readonly data: Statistics;
    };
    readonly told: never;
  };
  "GET /api/v1/analytics/overview": {
    readonly asked: {
      readonly query?: {
        /** the beginning; default 30 days before the end */
        readonly from?: string;
        /** the end, which is not part of it; default now */
        readonly to?: string;
        /** what one point of the chart stands for, in UTC */
        readonly interval?: "hour" | "day" | "week";
      };
    };
    readonly answer: {
      readonly data: Statistics;
    };
    readonly told: never;
  };
  "GET /api/v1/analytics/popular": {
    readonly asked: {
      readonly query?: {
        /** how many */
        readonly limit?: number;
      };
    };
    readonly answer: {
      readonly data: readonly PopularVideo[];
    };
    readonly told: never;
  };
  "GET /api/v1/session": {
    readonly asked: {};
    readonly answer: {
      readonly data: Session;
    };
    readonly told: never;
  };
  "POST /api/v1/session": {
    readonly asked: {
      readonly body: {
        readonly name: string;
        readonly password: string;
      };
    };
    readonly answer: {
      readonly data: Session;
    };
    readonly told: "Set-Cookie";
  };
  "DELETE /api/v1/session": {
    readonly asked: {};
    readonly answer: undefined;
    readonly told: never;
  };
  "PUT /api/v1/session/password": {
    readonly asked: {
      readonly body: {
        readonly password: string;
        readonly next: string;
      };
    };
    readonly answer: undefined;
    readonly told: never;
  };
  "GET /api/v1/users": {
    readonly asked: {};
    readonly answer: {
      readonly data: readonly User[];
    };
    readonly told: never;
  };
  "POST /api/v1/users": {
    readonly asked: {
      readonly body: {
        readonly name: string;
        readonly role: "viewer" | "uploader" | "admin";
        readonly password?: string;
      };
    };
    readonly answer: {
      readonly data: User;
    };
    readonly told: never;
  };
  "PATCH /api/v1/users/{id}": {
    readonly asked: {
      readonly path: {
        /** as it was answered */
        readonly id: string;
      };
      readonly body?: {
        readonly role?: "viewer" | "uploader" | "admin";
        readonly disabled?: boolean;
        readonly password?: string;
      };
    };
    readonly answer: {
      readonly data: User;
    };
    readonly told: never;
  };
  "GET /api/v1/admin/audit": {
    readonly asked: {
      readonly query?: {
        /** entries on a page */
        readonly limit?: number;
        /** only entries older than this one */
        readonly before?: string;
      };
    };
    readonly answer: {
      readonly data: readonly AuditEntry[];
    };
    readonly told: never;
  };
  "GET /api/v1/tokens": {
    readonly asked: {};
    readonly answer: {
      readonly data: readonly Token[];
    };
    readonly told: never;
  };
  "POST /api/v1/tokens": {
    readonly asked: {
      readonly body: {
        /** what it is for */
        readonly name: string;
        /** at most one's own, which is the default */
        readonly role?: "viewer" | "uploader" | "admin";
        /** how long it is valid */
        readonly days?: number;
      };
    };
    readonly answer: {
      readonly data: NewToken;
    };
    readonly told: never;
  };
  "DELETE /api/v1/tokens/{id}": {
    readonly asked: {
      readonly path: {
        readonly id: string;
      };
    };
    readonly answer: undefined;
    readonly told: never;
  };
  "GET /api/v1/admin/ring": {
    readonly asked: {};
    readonly answer: {
      readonly data: Ring;
    };
    readonly told: never;
  };
  "GET /api/v1/admin/ring/plan": {
    readonly asked: {
      readonly query?: {
        /** also one that keeps fewer copies than the ring does now */
        readonly fewer?: "true";
      };
    };
    readonly answer: {
      readonly data: RingPlan;
    };
    readonly told: never;
  };
  "GET /api/v1/admin/disks": {
    readonly asked: {};
    readonly answer: {
      readonly data: readonly Disk[];
    };
    readonly told: never;
  };
  "POST /api/v1/admin/disks": {
    readonly asked: {
      readonly body: {
        /** host:port */
        readonly address: string;
        readonly weight?: number | null;
      };
    };
    readonly answer: {
      readonly data: Staged;
    };
    readonly told: never;
  };
  "GET /api/v1/admin/storage/usage": {
    readonly asked: {};
    readonly answer: {
      readonly data: StorageUsage;
    };
    readonly told: never;
  };
  "GET /api/v1/admin/storage/repairs": {
    readonly asked: {};
    readonly answer: {
      readonly data: readonly Backlog[];
    };
    readonly told: never;
  };
  "POST /api/v1/admin/disks/{id}/drain": {
    readonly asked: {
      readonly path: {
        /** as it was answered */
        readonly id: string;
      };
    };
    readonly answer: {
      readonly data: Staged;
    };
    readonly told: never;
  };
  "PUT /api/v1/admin/disks/{id}/weight": {
    readonly asked: {
      readonly path: {
        /** as it was answered */
        readonly id: string;
      };
      readonly body?: {
        /** bytes; null for its capacity */
        readonly weight?: number | null;
      };
    };
    readonly answer: {
      readonly data: Staged;
    };
    readonly told: never;
  };
  "DELETE /api/v1/admin/disks/{id}": {
    readonly asked: {
      readonly path: {
        /** as it was answered */
        readonly id: string;
      };
      readonly query?: {
        /** also a disk that does not answer: its content counts as lost */
        readonly force?: "true";
      };
    };
    readonly answer: {
      readonly data: Staged;
    };
    readonly told: never;
  };
  "POST /api/v1/admin/disks/{id}/scrub": {
    readonly asked: {
      readonly path: {
        /** as it was answered */
        readonly id: string;
      };
      readonly body: {
        readonly command: "now" | "pause" | "resume";
      };
    };
    readonly answer: undefined;
    readonly told: never;
  };
  "POST /api/v1/admin/storage/verify": {
    readonly asked: {
      readonly body?: {
        readonly disk?: string;
      };
    };
    readonly answer: {
      readonly data: {
        readonly disks: readonly string[];
      };
    };
    readonly told: never;
  };
  "DELETE /api/v1/admin/ring/changes": {
    readonly asked: {};
    readonly answer: undefined;
    readonly told: never;
  };
  "POST /api/v1/admin/ring/apply": {
    readonly asked: {
      readonly body: {
        readonly epoch: number;
        readonly fewer?: boolean;
      };
    };
    readonly answer: {
      readonly data: {
        readonly epoch: number;
      };
    };
    readonly told: never;
  };
  "GET /api/v1/admin/jobs": {
    readonly asked: {
      readonly query?: {
        /** only jobs of this kind */
        readonly kind?: "video.inspect" | "video.foresee" | "video.span" | "video.audio" | "video.picture" | "video.captions" | "video.storyboard" | "upload.finish" | "partition.move" | "disk.repair" | "disk.compare" | "chunks.collect";
        /** only jobs in this state */
        readonly state?: "queued" | "running" | "done" | "failed" | "cancelled";
        /** only jobs older than this one: the id of the last one of the page before */
        readonly before?: string;
        /** jobs on a page */
        readonly limit?: number;
      };
    };
    readonly answer: {
      readonly data: readonly Job[];
    };
    readonly told: never;
  };
  "POST /api/v1/admin/jobs/{id}/retry": {
    readonly asked: {
      readonly path: {
        readonly id: string;
      };
    };
    readonly answer: {
      readonly data: Job;
    };
    readonly told: never;
  };
  "GET /health": {
    readonly asked: {};
    readonly answer: Health;
    readonly told: never;
  };
  "GET /health/live": {
    readonly asked: {};
    readonly answer: {
      readonly status: "ok";
      readonly uptime: number;
    };
    readonly told: never;
  };
  "GET /health/ready": {
    readonly asked: {};
    readonly answer: {
      readonly status: "ok" | "down";
      readonly missing?: readonly string[];
    };
    readonly told: never;
  };
  "GET /api/v1/health": {
    readonly asked: {};
    readonly answer: Health;
    readonly told: never;
  };
  "GET /api/v1/health/live": {
    readonly asked: {};
    readonly answer: {
      readonly status: "ok";
      readonly uptime: number;
    };
    readonly told: never;
  };
  "GET /api/v1/health/ready": {
    readonly asked: {};
    readonly answer: {
      readonly status: "ok" | "down";
      readonly missing?: readonly string[];
    };
    readonly told: never;
  };
  "GET /api/v1/openapi.json": {
    readonly asked: {};
    readonly answer: {
      readonly openapi: string;
      readonly [name: string]: unknown;
    };
    readonly told: never;
  };
}
