/** Work on a source whose bytes are still on their way: a job waits until so many have come. */
export const name = "0033-foresight";

export const up = `
-- Null for a job that waits for none. Until then its run_at is infinity.
alter table jobs add column needs_bytes bigint;
`;

export const down = `
alter table jobs drop column needs_bytes;
`;
