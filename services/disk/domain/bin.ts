/** How chunks are named that were taken out of service: deleted ones in trash/, bad ones in quarantine/. */

/** `<milliseconds since 1970>-<hash>`: says when, since a rename leaves the times of the file as they were. */
export function binName(hash: string, nowMs: number): string {
  return `${nowMs}-${hash}`;
}

/** Whether an entry has been there for longer than `keepMs`. What is not named by `binName` is not ours and stays. */
export function isOver(name: string, keepMs: number, nowMs: number): boolean {
  const binnedMs = /^([0-9]{1,16})-[0-9a-f]{64}$/.exec(name)?.[1];
  return binnedMs !== undefined && nowMs - Number(binnedMs) > keepMs;
}
