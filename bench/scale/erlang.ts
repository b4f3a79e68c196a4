/** What is known of a queue with any number of servers, where work comes and ends at any moment alike (M/M/c; A. K. Erlang, 1917). */

/** Mean time in the queue, in the unit of `service`. `load` is the mean number of servers that work: below `servers`. */
export function meanWait(servers: number, load: number, service: number): number {
  return (waits(servers, load) * service) / (servers - load);
}

/** The share of work that has to wait (Erlang C), by way of Erlang B, whose recursion keeps clear of factorials. */
export function waits(servers: number, load: number): number {
  let lost = 1;
  for (let n = 1; n <= servers; n++) lost = (load * lost) / (n + load * lost);
  return lost / (1 - (load / servers) * (1 - lost));
}
