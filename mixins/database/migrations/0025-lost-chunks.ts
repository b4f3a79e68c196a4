/** What a move had to pass over. */
export const name = "0025-lost-chunks";

export const up = `
-- Chunks of a partition of which no disk had a good copy.
alter table partitions add column chunks_lost bigint not null default 0;
`;

export const down = `
alter table partitions drop column chunks_lost;
`;
