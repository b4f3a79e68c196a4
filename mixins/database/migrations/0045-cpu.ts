/** What the work on a job has taken of processors, over all of its attempts. */
export const name = "0045-cpu";

export const up = `
alter table jobs add column cpu_s real not null default 0;
`;

export const down = `
alter table jobs drop column cpu_s;
`;
