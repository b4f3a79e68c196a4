/** Whether the worker that a job was given to has said so: an answer that was lost on its way to it has begun nothing. */
export const name = "0041-begun";

export const up = `
-- What is held already may have begun.
alter table jobs add column begun boolean not null default true;
alter table jobs alter column begun set default false;
-- Of the attempts those of which nobody heard.
alter table jobs add column unheard integer not null default 0;
`;

export const down = `
update jobs set attempts = attempts - unheard;
alter table jobs drop column begun, drop column unheard;
`;
