/** Leaky buckets: each request pours in, time lets out, and what would overflow is refused. */

/** So many requests in so many seconds, all at once or spread. */
export interface Quota {
  readonly requests: number;
  readonly seconds: number;
}

export interface Bucket {
  /** When it will be empty, ms of the clock that `now` is of. */
  emptyAt: number;
  /** What was poured in and not told to the others yet, ms. */
  untold: number;
}

export interface Admission {
  readonly admitted: boolean;
  /** Requests that would still be admitted now. */
  readonly remaining: number;
  /** Seconds until the whole quota is there again; for who is refused, until one request is admitted. */
  readonly waitS: number;
}

function costMs({ requests, seconds }: Quota): number {
  return (seconds * 1000) / requests;
}

/** Pours one request in, if it fits. */
export function pour(bucket: Bucket, quota: Quota, now: number): Admission {
  const cost = costMs(quota);
  const most = quota.seconds * 1000;
  const ahead = Math.max(0, bucket.emptyAt - now);
  // A rounding error of a float must not refuse the last request of a quota.
  const over = ahead + cost - most;
  if (over > 0.001) return { admitted: false, remaining: 0, waitS: Math.ceil(over / 1000) };
  bucket.emptyAt = now + ahead + cost;
  bucket.untold += cost;
  return { admitted: true, remaining: Math.floor((most - ahead - cost + 0.001) / cost), waitS: Math.ceil((ahead + cost) / 1000) };
}
