/** Every change of the schema, oldest first. The list is code: the same from sources, from a build and in tests. A released one never changes again. */
import * as main from "./0001-main.ts";
import * as plan from "./0002-plan.ts";
import * as chunks from "./0003-chunks.ts";
import * as catalogue from "./0004-catalogue.ts";
import * as users from "./0005-users.ts";
import * as uploads from "./0006-uploads.ts";
import * as runs from "./0008-runs.ts";
import * as storyboard from "./0009-storyboard.ts";
import * as lost from "./0025-lost-chunks.ts";
import * as plays from "./0031-plays.ts";
import * as foresight from "./0033-foresight.ts";
import * as reuse from "./0034-reuse.ts";
import * as traces from "./0038-traces.ts";
import * as captions from "./0039-captions-of-sources.ts";
import * as begun from "./0041-begun.ts";
import * as viewings from "./0043-viewings.ts";
import * as cpu from "./0045-cpu.ts";
import * as uploadsUntilDone from "./0050-uploads-until-done.ts";

export interface Migration {
  /** Sorts in the order of the list. */
  readonly name: string;
  readonly up: string;
  readonly down: string;
}

export const migrations: readonly Migration[] = [
  main,
  plan,
  chunks,
  catalogue,
  users,
  uploads,
  runs,
  storyboard,
  lost,
  plays,
  foresight,
  reuse,
  traces,
  captions,
  begun,
  viewings,
  cpu,
  uploadsUntilDone,
];
