/** What a video was made by: another one of the same source that is to be made alike is there at once. */
export const name = "0034-reuse";

export const up = `
-- Null for what was made before this was kept.
alter table videos add column recipe text;
`;

export const down = `
alter table videos drop column recipe;
`;
