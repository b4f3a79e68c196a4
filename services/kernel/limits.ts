/** Limits that several services share, each with its reason. What an operator may want to change is in config/ instead. */

/** A chunk is at most this long. Deduplication and resume gain nothing from smaller ones, and one fits three times into a connection's budget. */
export const CHUNK_BYTES_MAX = 8 * 1024 * 1024;

/** A gRPC message of bulk data. Above 256 KiB nothing is gained but memory at risk for each slow reader; below, CPU is lost. */
export const MESSAGE_BYTES = 256 * 1024;

/** Copies of each chunk, and how many of them must be durable before anything is acknowledged. */
export const REPLICAS = 3;
export const WRITE_QUORUM = 2;

/** How many segments one call may publish or list: a row is about 120 bytes on the wire, and a control message stays below 256 KiB. */
export const SEGMENT_BATCH_MAX = 500;
