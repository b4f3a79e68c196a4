/**
 * A disk as services/disk/main.ts runs it, on files that fail: for tests that kill it at a certain step or let it err, and for control runs without a rule.
 *
 *   FAILPOINT="after chunk.name 7"  the process kills itself after the seventh time that a chunk gets its name
 *   WITHOUT="sync of folders"       folders are not synced; "sync of files": files are not
 *   MISTAKES="SIGUSR2"              each signal of this name throws an error that nobody catches
 */
import { relative } from "node:path";
import { type Files, nodeFiles, type OpenFile } from "../../services/disk/files/port.ts";
import { runDisk } from "../../services/disk/run.ts";

/** The steps at which a disk can be killed: what a step does, and to what below its folder. A rename has the old name before the new one. */
export const POINTS = {
  "draft.open": /^open tmp\/[0-9a-f]{64}/,
  "draft.write": /^write tmp\/[0-9a-f]{64}/,
  "draft.sync": /^sync tmp\/[0-9a-f]{64}/,
  "folder.make": /^mkdir chunks\/../,
  "chunk.name": /^rename tmp\/.* chunks\//,
  "chunk.folder": /^sync chunks\/..\/..$/,
  "chunk.touch": /^touch chunks\//,
  "chunk.bin": /^rename chunks\/.* trash\//,
  "sums.write": /^write sums\//,
  "epoch.write": /^write tmp\/epoch/,
  "epoch.sync": /^sync tmp\/epoch/,
  "epoch.name": /^rename tmp\/epoch epoch$/,
} as const;
export type Point = keyof typeof POINTS;
export const SIDES = ["before", "after"] as const;

type Side = (typeof SIDES)[number];

/** Kills this process the nth time that it comes to a point. */
class Failpoint {
  readonly #side: Side;
  readonly #pattern: RegExp;
  #left: number;

  constructor(given: string) {
    const [side, point, nth] = given.split(" ");
    this.#side = side as Side;
    this.#pattern = POINTS[point as Point];
    this.#left = Number(nth);
  }

  async pass<T>(step: string, work: () => Promise<T>): Promise<T> {
    if (!this.#pattern.test(step) || (this.#left -= 1) > 0) return await work();
    if (this.#side === "after") await work();
    process.kill(process.pid, "SIGKILL");
    return await new Promise(() => undefined);
  }
}

/** Node's files below `root`, each step of which passes the failpoint. */
function failing(root: string, { pass, without }: { pass: Failpoint["pass"]; without: string }): Files {
  const at = (path: string) => relative(root, path) || ".";
  const opened = (file: OpenFile, path: string, isFolder: boolean): OpenFile => ({
    read: async (...args) => await file.read(...args),
    write: async (...args) => await pass(`write ${at(path)}`, async () => await file.write(...args)),
    async sync() {
      await pass(`sync ${at(path)}`, async () => {
        if (without !== (isFolder ? "sync of folders" : "sync of files")) await file.sync();
      });
    },
    stat: async (options) => await file.stat(options),
    close: async () => await file.close(),
  });
  return {
    ...nodeFiles,
    open: async (path, flags) => opened(await pass(`open ${at(path)}`, async () => await nodeFiles.open(path, flags)), path, false),
    openFolder: async (path) => opened(await pass(`open ${at(path)}`, async () => await nodeFiles.openFolder(path)), path, true),
    mkdir: async (path, options) => await pass(`mkdir ${at(path)}`, async () => await nodeFiles.mkdir(path, options)),
    touch: async (path) => await pass(`touch ${at(path)}`, async () => await nodeFiles.touch(path)),
    rename: async (from, to) => await pass(`rename ${at(from)} ${at(to)}`, async () => await nodeFiles.rename(from, to)),
  };
}

function err(): never {
  throw new Error("a mistake of the tests");
}

// The tests that name the points import this file, too.
if (process.argv[1] === import.meta.filename) {
  const { DISK_DIR = "", FAILPOINT, WITHOUT = "", MISTAKES } = process.env;
  const failpoint = FAILPOINT === undefined ? undefined : new Failpoint(FAILPOINT);
  const pass: Failpoint["pass"] = async (step, work) => await (failpoint ? failpoint.pass(step, work) : work());
  if (MISTAKES !== undefined) process.on(MISTAKES, err);
  runDisk(failing(DISK_DIR, { pass, without: WITHOUT }));
}
