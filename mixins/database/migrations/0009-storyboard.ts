/** Small pictures of a whole video, for whoever looks for a place in it. */
export const name = "0009-storyboard";

const releaseNone = `
drop trigger release_blobs_deleted on videos;
drop trigger release_blobs_updated on videos;
drop index videos_source_blob;
drop index videos_thumbnail_blob;
`;

export const up = `
alter table videos
  add column storyboard_blob bytea references blobs (id),
  add column storyboard_size bigint,
  -- {columns, width, height, starts}: pictures in a row, the size of each, and when each begins, s.
  add column storyboard_tiles jsonb,
  add check ((storyboard_blob is null) = (storyboard_tiles is null));
${releaseNone}
select reference_blobs('videos', 'source_blob', 'thumbnail_blob', 'storyboard_blob');
`;

export const down = `
${releaseNone}
alter table videos drop column storyboard_blob, drop column storyboard_size, drop column storyboard_tiles;
select reference_blobs('videos', 'source_blob', 'thumbnail_blob');
`;
