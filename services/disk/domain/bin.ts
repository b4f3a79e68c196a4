/** How chunks are named that were taken out of service: deleted ones in trash/, bad ones in quarantine/. */

const BINNED = /^([0-9]{1,16})-[0-9a-f]{64}$/;

/** `<milliseconds since 1970>-<hash>`: says when, since a rename leaves the times of the file as they were. */
export function binName(hash: string, nowMs: number): string {
  return `${nowMs}-${hash}`;
}

/** When an entry was put there, milliseconds since 1970. Undefined for what is not named by `binName`: it is not ours, and stays. */
export function binnedAt(name: string): number | undefined {
  const ms = BINNED.exec(name)?.[1];
  return ms === undefined ? undefined : Number(ms);
}
