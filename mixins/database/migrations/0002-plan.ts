/** What is planned is kept beside what is stored: manifests are made of it before the last segment is there, and a segment leads to its job. */
export const name = "0002-plan";

export const up = `
-- Frames of the whole rendition and of each segment but the last; a frame of sound is 1,024 samples. Null for what was planned before this was kept.
alter table renditions
  add column frame_rate_num integer,
  add column frame_rate_den integer,
  add column frames integer,
  add column segment_frames integer;

-- The numbers of the segments that a job makes, both inclusive; null for a job that makes none.
alter table jobs
  add column first_segment integer,
  add column last_segment integer;
`;

export const down = `
alter table jobs drop column first_segment, drop column last_segment;
alter table renditions drop column frame_rate_num, drop column frame_rate_den, drop column frames, drop column segment_frames;
`;
