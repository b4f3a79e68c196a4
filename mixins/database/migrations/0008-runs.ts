/** The plan of a rendition as runs of equal segments: a video begins with shorter ones. */
export const name = "0008-runs";

export const up = `
-- [[segments, frames of each], ...] in order. Null for what was planned before the plan was kept.
alter table renditions add column frame_runs jsonb;
update renditions set frame_runs = (
  select jsonb_agg(jsonb_build_array(run.segments, run.length) order by run.length desc)
  from (values (frames / segment_frames, segment_frames), (1, frames % segment_frames)) as run (segments, length)
  where run.segments > 0 and run.length > 0)
where frames is not null;
alter table renditions drop column frames, drop column segment_frames;
`;

export const down = `
alter table renditions add column frames integer, add column segment_frames integer;
update renditions set
  frames = (select sum((run ->> 0)::integer * (run ->> 1)::integer) from jsonb_array_elements(frame_runs) as run),
  segment_frames = (select max((run ->> 1)::integer) from jsonb_array_elements(frame_runs) as run)
where frame_runs is not null;
alter table renditions drop column frame_runs;
`;
