/** The closed set of failures. Every error that leaves a service is one of these rows; anything else is a bug and becomes INTERNAL. */

/** gRPC status codes in use (google.rpc.Code). */
const grpc = {
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

interface ErrorRow {
  /** HTTP status (RFC 9110). */
  readonly status: number;
  /** gRPC status code. */
  readonly grpc: number;
  /** Whether the same call may succeed later, unchanged. */
  readonly retryable: boolean;
  /** One sentence for a person; the same for every occurrence (RFC 9457 "title"). */
  readonly title: string;
}

export const ERRORS = {
  INVALID_REQUEST: { status: 400, grpc: grpc.invalidArgument, retryable: false, title: "The request is not valid." },
  ROUTE_NOT_FOUND: { status: 404, grpc: grpc.notFound, retryable: false, title: "There is nothing at this address." },
  METHOD_NOT_ALLOWED: { status: 405, grpc: grpc.unimplemented, retryable: false, title: "This address does not take this method." },
  UNAUTHENTICATED: { status: 401, grpc: grpc.unauthenticated, retryable: false, title: "This takes somebody who has signed in." },
  FORBIDDEN: { status: 403, grpc: grpc.permissionDenied, retryable: false, title: "You may not do this." },
  SIGNATURE_INVALID: { status: 403, grpc: grpc.permissionDenied, retryable: false, title: "The signature of the address is not valid." },
  FORBIDDEN_ORIGIN: {
    status: 403,
    grpc: grpc.permissionDenied,
    retryable: false,
    title: "A page of another origin must not ask for this.",
  },
  LENGTH_MISMATCH: { status: 400, grpc: grpc.invalidArgument, retryable: false, title: "The body is not as long as it was said to be." },
  UPLOAD_ABORTED: { status: 400, grpc: grpc.aborted, retryable: true, title: "The upload ended before its last byte." },
  UPLOAD_STALLED: {
    status: 408,
    grpc: grpc.deadlineExceeded,
    retryable: true,
    title: "The upload sent nothing, or next to nothing, for too long.",
  },
  UPLOAD_EMPTY: { status: 400, grpc: grpc.invalidArgument, retryable: false, title: "The upload holds no bytes." },
  UPLOAD_TOO_LARGE: {
    status: 413,
    grpc: grpc.resourceExhausted,
    retryable: false,
    title: "The upload is larger than this server accepts.",
  },
  UPLOAD_NOT_FOUND: { status: 404, grpc: grpc.notFound, retryable: false, title: "There is no such upload." },
  UPLOAD_EXPIRED: {
    status: 410,
    grpc: grpc.notFound,
    retryable: false,
    title: "The upload waited too long for its last byte, and is gone.",
  },
  UPLOAD_OFFSET_CONFLICT: {
    status: 409,
    grpc: grpc.aborted,
    retryable: false,
    title: "The upload goes on at another byte than the request does.",
  },
  UPLOAD_LOCKED: { status: 423, grpc: grpc.aborted, retryable: false, title: "Another request is sending bytes of this upload." },
  UPLOAD_CHECKSUM_MISMATCH: {
    status: 460,
    grpc: grpc.dataLoss,
    retryable: false,
    title: "The bytes that arrived are not those of the checksum.",
  },
  UPLOAD_IS_FINAL: {
    status: 403,
    grpc: grpc.failedPrecondition,
    retryable: false,
    title: "An upload that was joined from others takes no bytes of its own.",
  },
  UPLOADS_TOO_MANY: {
    status: 429,
    grpc: grpc.resourceExhausted,
    retryable: false,
    title: "Too many uploads of this sender are not finished.",
  },
  UPLOAD_PROTOCOL_UNSUPPORTED: {
    status: 412,
    grpc: grpc.failedPrecondition,
    retryable: false,
    title: "The server does not speak this version of the upload protocol.",
  },
  BODY_TOO_LARGE: { status: 413, grpc: grpc.resourceExhausted, retryable: false, title: "The body is larger than this address takes." },
  HEADERS_TOO_LARGE: {
    status: 431,
    grpc: grpc.resourceExhausted,
    retryable: false,
    title: "The headers are larger than this server takes.",
  },
  HEADERS_TIMEOUT: { status: 408, grpc: grpc.deadlineExceeded, retryable: true, title: "The request did not come in time." },
  NOT_ACCEPTABLE: {
    status: 406,
    grpc: grpc.invalidArgument,
    retryable: false,
    title: "This address has nothing of the kind that is asked for.",
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    grpc: grpc.invalidArgument,
    retryable: false,
    title: "This server does not take this kind of content.",
  },
  RANGE_NOT_SATISFIABLE: { status: 416, grpc: grpc.outOfRange, retryable: false, title: "The range lies outside of the content." },
  TOO_BUSY: { status: 503, grpc: grpc.resourceExhausted, retryable: true, title: "The server has as much work as it can hold." },
  RATE_LIMITED: { status: 429, grpc: grpc.resourceExhausted, retryable: true, title: "You ask too often." },
  USER_NOT_FOUND: { status: 404, grpc: grpc.notFound, retryable: false, title: "There is no such user." },
  USER_EXISTS: { status: 409, grpc: grpc.alreadyExists, retryable: false, title: "There is a user of this name." },
  LAST_ADMIN: { status: 409, grpc: grpc.failedPrecondition, retryable: false, title: "The last administrator must stay one." },
  TOKEN_NOT_FOUND: { status: 404, grpc: grpc.notFound, retryable: false, title: "There is no such token." },
  VIDEO_NOT_FOUND: { status: 404, grpc: grpc.notFound, retryable: false, title: "There is no such video." },
  VIDEO_NOT_FAILED: { status: 409, grpc: grpc.failedPrecondition, retryable: false, title: "The video has not failed." },
  VIDEO_CHANGED: { status: 412, grpc: grpc.failedPrecondition, retryable: false, title: "The video was edited since it was read." },
  CAPTIONS_NOT_FOUND: { status: 404, grpc: grpc.notFound, retryable: false, title: "The video has no such captions." },
  CAPTIONS_INVALID: { status: 422, grpc: grpc.invalidArgument, retryable: false, title: "The file holds no captions in WebVTT or SubRip." },
  IDEMPOTENCY_KEY_REUSED: {
    status: 422,
    grpc: grpc.invalidArgument,
    retryable: false,
    title: "The key was used for another request.",
  },
  REQUEST_IN_PROGRESS: { status: 409, grpc: grpc.aborted, retryable: true, title: "The same request is being answered." },
  VIDEO_NOT_PLAYABLE: { status: 409, grpc: grpc.failedPrecondition, retryable: true, title: "The video cannot be watched yet." },
  VIDEO_SEGMENT_PENDING: { status: 503, grpc: grpc.unavailable, retryable: true, title: "This part of the video is still being made." },
  SEGMENT_NOT_FOUND: { status: 404, grpc: grpc.notFound, retryable: false, title: "The video has no such segment." },
  PICTURE_NOT_FOUND: { status: 404, grpc: grpc.notFound, retryable: false, title: "The video has no such picture." },
  SOURCE_NOT_MEDIA: { status: 422, grpc: grpc.invalidArgument, retryable: false, title: "The file is not a video." },
  SOURCE_UNSUPPORTED: {
    status: 422,
    grpc: grpc.invalidArgument,
    retryable: false,
    title: "The file is of a kind that this server does not process.",
  },
  SOURCE_WITHOUT_PICTURE: { status: 422, grpc: grpc.invalidArgument, retryable: false, title: "The file holds no moving picture." },
  SOURCE_TOO_LONG: { status: 422, grpc: grpc.invalidArgument, retryable: false, title: "The video is longer than this server accepts." },
  SOURCE_TOO_BIG: {
    status: 422,
    grpc: grpc.invalidArgument,
    retryable: false,
    title: "The picture has more pixels than this server accepts.",
  },
  SOURCE_TOO_COMPLEX: {
    status: 422,
    grpc: grpc.invalidArgument,
    retryable: false,
    title: "The file holds more streams or frames a second than this server accepts.",
  },
  SOURCE_DAMAGED: {
    status: 422,
    grpc: grpc.invalidArgument,
    retryable: false,
    title: "The file is damaged: no picture could be read from it.",
  },
  TRANSCODE_FAILED: { status: 500, grpc: grpc.internal, retryable: true, title: "The video could not be converted." },
  TRANSCODE_TIMEOUT: { status: 500, grpc: grpc.deadlineExceeded, retryable: false, title: "The video took too long to convert." },
  JOB_ABANDONED: { status: 500, grpc: grpc.internal, retryable: false, title: "The work was started too often without an end." },
  JOB_NOT_FAILED: { status: 409, grpc: grpc.failedPrecondition, retryable: false, title: "The job has not failed." },
  JOB_NOT_FOUND: { status: 404, grpc: grpc.notFound, retryable: false, title: "There is no such job." },
  JOB_LOST: { status: 409, grpc: grpc.aborted, retryable: false, title: "The job is no longer held by this worker." },
  BLOB_NOT_FOUND: { status: 404, grpc: grpc.notFound, retryable: false, title: "There is no such blob." },
  CHUNK_NOT_FOUND: { status: 404, grpc: grpc.notFound, retryable: false, title: "The disk does not hold this chunk." },
  CHUNK_CORRUPT: { status: 500, grpc: grpc.dataLoss, retryable: true, title: "The bytes of a chunk are not those of its name." },
  CHUNK_LEAVING: {
    status: 503,
    grpc: grpc.unavailable,
    retryable: true,
    title: "The chunk is being deleted and cannot be stored again yet.",
  },
  CHUNK_NOT_LEASED: { status: 409, grpc: grpc.aborted, retryable: false, title: "A chunk was deleted before its blob was complete." },
  CHUNK_CHANGED: { status: 409, grpc: grpc.aborted, retryable: false, title: "The disk holds another copy of the chunk by now." },
  DISK_NOT_FOUND: { status: 404, grpc: grpc.notFound, retryable: false, title: "There is no such disk." },
  DISK_MISTAKEN: { status: 503, grpc: grpc.failedPrecondition, retryable: true, title: "Another disk answers at this address." },
  DISK_UNAVAILABLE: { status: 503, grpc: grpc.unavailable, retryable: true, title: "A disk does not answer." },
  DISK_READ_ONLY: { status: 507, grpc: grpc.resourceExhausted, retryable: true, title: "The disk takes no chunks for now." },
  DISK_FULL: { status: 507, grpc: grpc.resourceExhausted, retryable: true, title: "The disk has no room left." },
  DISK_UNAUTHENTICATED: { status: 500, grpc: grpc.unauthenticated, retryable: false, title: "The disk does not accept this caller." },
  DISK_STALE_EPOCH: {
    status: 503,
    grpc: grpc.failedPrecondition,
    retryable: true,
    title: "The ring has changed since this call was planned.",
  },
  NOT_ENOUGH_DISKS: { status: 503, grpc: grpc.unavailable, retryable: true, title: "Too few disks answer to keep the content safe." },
  RING_EMPTY: { status: 503, grpc: grpc.failedPrecondition, retryable: true, title: "The ring has no disks yet." },
  RING_CHANGED: { status: 409, grpc: grpc.aborted, retryable: false, title: "The ring has changed since it was looked at." },
  RING_CHANGE_REFUSED: {
    status: 409,
    grpc: grpc.failedPrecondition,
    retryable: false,
    title: "This change of the ring would lose content.",
  },
  DATABASE_UNAVAILABLE: { status: 503, grpc: grpc.unavailable, retryable: true, title: "The database does not answer." },
  SERVICE_UNAVAILABLE: { status: 503, grpc: grpc.unavailable, retryable: true, title: "A part of the server does not answer." },
  INTERNAL: { status: 500, grpc: grpc.internal, retryable: false, title: "The server made a mistake." },
} as const satisfies Record<string, ErrorRow>;

export type ErrorType = keyof typeof ERRORS;

/** Rows that speak of what is around a piece of work, whatever the work is: disks, database, services, memory. */
const ENVIRONMENT: ReadonlySet<ErrorType> = new Set<ErrorType>([
  "TOO_BUSY",
  "CHUNK_LEAVING",
  "CHUNK_NOT_LEASED",
  "CHUNK_CHANGED",
  "DISK_MISTAKEN",
  "CHUNK_NOT_FOUND",
  "CHUNK_CORRUPT",
  "DISK_UNAVAILABLE",
  "DISK_FULL",
  "DISK_READ_ONLY",
  "DISK_STALE_EPOCH",
  "NOT_ENOUGH_DISKS",
  "RING_EMPTY",
  "DATABASE_UNAVAILABLE",
  "SERVICE_UNAVAILABLE",
]);

/** One field that validation refused. `path` is dotted ("set.title"), `message` says what to do. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

interface ErrorExtras {
  readonly cause?: unknown;
  readonly fields?: readonly FieldError[];
  /** Plain values that travel with the error over the broker and into logs; never secrets. */
  readonly data?: Readonly<Record<string, unknown>>;
}

/**
 * A row of the table that happened. `code`, `type`, `data` and `retryable` are the four members that Moleculer carries across nodes;
 * the class itself is lost there (moleculer src/errors.js, recreateError), so match with `errorType`, never with instanceof.
 */
export class TritonError extends Error {
  readonly type: ErrorType;
  readonly code: number;
  readonly retryable: boolean;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(type: ErrorType, detail: string, extras: ErrorExtras = {}) {
    super(detail, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.name = "TritonError";
    this.type = type;
    this.code = ERRORS[type].status;
    this.retryable = ERRORS[type].retryable;
    this.data = { ...extras.data, ...(extras.fields ? { fields: extras.fields } : {}) };
  }
}

/** Names what is wrong and what to do about it: `throw failure("VIDEO_NOT_FOUND", \`There is no video ${id}.\`)`. */
export function failure(type: ErrorType, detail: string, extras?: ErrorExtras): TritonError {
  return new TritonError(type, detail, extras);
}

/** The row that an error stands for, also when it crossed a node and lost its class; undefined for what is not ours. */
export function errorType(error: unknown): ErrorType | undefined {
  const type = (error as { type?: unknown } | null | undefined)?.type;
  return typeof type === "string" && Object.hasOwn(ERRORS, type) ? (type as ErrorType) : undefined;
}

/** Whether the work that met this error is not to blame for it: the same work succeeds when its surroundings are well again. */
export function isOfEnvironment(type: ErrorType): boolean {
  return ENVIRONMENT.has(type);
}

/** What a thrown value says of itself. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
