/** A job goes on the trace of the request that it was made for. */
export const name = "0038-traces";

export const up = `
-- As W3C Trace Context writes it. Null for what no traced request has made.
alter table jobs add column trace text check (length(trace) = 55);
`;

export const down = `
alter table jobs drop column trace;
`;
