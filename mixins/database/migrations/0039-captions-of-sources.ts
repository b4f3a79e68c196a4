/** Captions that came with a source go with whatever is made of it; those of people do not. */
export const name = "0039-captions-of-sources";

export const up = `
alter table captions add column of_source boolean not null default false;
`;

export const down = `
alter table captions drop column of_source;
`;
