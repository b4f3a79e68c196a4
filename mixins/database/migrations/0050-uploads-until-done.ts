/** What is to make a video of an upload is never given up. Where it was, before this, the bytes are there still and the work begins anew. */
export const name = "0050-uploads-until-done";

export const up = `
update jobs set max_attempts = 1073741824 where kind = 'upload.finish';
update jobs set state = 'queued', attempts = 0, unheard = 0, run_at = now(), failure = null, finished_at = null
where kind = 'upload.finish' and state = 'failed';
`;

export const down = `
update jobs set max_attempts = 5 where kind = 'upload.finish';
`;
