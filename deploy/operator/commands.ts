/** What an operator can say, and what then happens. Each command is the same as a REST call of the administration (services/gateway/storage-routes.ts). */
import { blobs } from "../../services/blobs/contract.ts";
import { errorType, failure, messageOf } from "../../services/kernel/errors.ts";
import { call, type Caller } from "../../services/kernel/rpc.ts";
import { ring, type ChangeKind, type RingPlan } from "../../services/ring/contract.ts";
import { upkeep } from "../../services/upkeep/contract.ts";
import { moveStorage } from "./backends.ts";
import type { Command, Given, Output } from "./command.ts";
import { disksText, movesText, planText, repairsText, short, stagedText, usageText } from "./describe.ts";
import { diskOf, idOf } from "./named.ts";
import { newestVideos, nodes, oneVideo, settingsHere, status, transcoders } from "./nodes.ts";
import { trace } from "./trace.ts";
import { events, queue, retry } from "./work.ts";

/** Disks that one line can name. */
const TARGETS_MAX = 100;

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

/** "4TB" → 4e12; null for "capacity". INVALID_REQUEST. */
function weightOf(text: string): number | null {
  if (text === "capacity") return null;
  const [, digits = "", unit = ""] = /^([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)$/.exec(text) ?? [];
  const factor = UNITS[unit.toUpperCase()];
  if (digits === "" || factor === undefined)
    throw failure("INVALID_REQUEST", `"${text}" is no weight: say bytes, 4TB, 500GiB or capacity.`);
  return Math.round(Number(digits) * factor);
}

/** The plan of what is staged now, or why there is none. */
async function planned(caller: Caller): Promise<Output> {
  try {
    const plan = await call(caller, ring.plan, {});
    return { data: { plan, refusal: null }, text: `${planText(plan)}\n"ring apply" makes it so; "ring unstage" forgets it` };
  } catch (error) {
    if (errorType(error) !== "RING_CHANGE_REFUSED") throw error;
    const staged = await call(caller, ring.staged, {});
    const why = staged.length === 0 ? "" : `\nthis alone cannot be applied: ${messageOf(error)}`;
    return { data: { plan: null, refusal: messageOf(error) }, text: `${stagedText(staged)}${why}` };
  }
}

const staging =
  (change: ChangeKind) =>
  async (caller: Caller, { words, force, weight }: Given): Promise<Output> => {
    const disk = await diskOf(caller, words[0]!);
    const said = words[1] ?? weight;
    await call(caller, ring.stage, { disk: disk.id, change, force, weight: said === undefined ? null : weightOf(said) });
    return await planned(caller);
  };

async function add(caller: Caller, given: Given): Promise<Output> {
  return await staging("add")(caller, { ...given, words: [await idOf(caller, given.words[0]!)] });
}

async function apply(caller: Caller): Promise<Output> {
  const plan: RingPlan = await call(caller, ring.plan, {});
  const { epoch } = await call(caller, ring.apply, { epoch: plan.epoch });
  return { data: { epoch, plan }, text: `${planText(plan)}\napplied: the ring is at epoch ${epoch}` };
}

async function overview(caller: Caller): Promise<Output> {
  const [{ epoch, partitionBits, replicas }, disks, staged, moves] = await Promise.all([
    call(caller, ring.get, {}),
    call(caller, ring.disks, {}),
    call(caller, ring.staged, {}),
    call(caller, ring.moves, {}),
  ]);
  const head = `epoch ${epoch}: ${2 ** partitionBits} partitions, ${replicas} copies`;
  return {
    data: { epoch, partitions: 2 ** partitionBits, replicas, disks, staged, moves },
    text: [head, disksText(disks), movesText(moves), stagedText(staged)].join("\n"),
  };
}

async function scrub(caller: Caller, { words: [said, word = "now"] }: Given): Promise<Output> {
  const command = ring.scrub.params.shape.command.safeParse(word);
  if (!command.success) throw failure("INVALID_REQUEST", `A scrub can be paused or resumed; "${word}" is neither.`);
  const { id } = await diskOf(caller, said!);
  await call(caller, ring.scrub, { disk: id, command: command.data });
  const disks = (await call(caller, ring.disks, {})).filter((disk) => disk.id === id);
  return { data: { disks }, text: disksText(disks) };
}

export const commands: readonly Command[] = [
  { name: "status", takes: "", about: "the whole at a glance", words: [0, 0], run: status },
  { name: "nodes", takes: "", about: "processes that run services, and which", words: [0, 0], run: nodes },
  { name: "videos", takes: "[word]", about: "the newest videos, or those that a word finds", words: [0, 1], run: newestVideos },
  { name: "video", takes: "<id>", about: "how far a video is, and where its source lies", words: [1, 1], run: oneVideo },
  { name: "trace", takes: "<id>", about: "the work on a video as it went, and the id of its trace", words: [1, 1], run: trace },
  { name: "jobs", takes: "[state]", about: "work by its kind, or the newest jobs that are in this state", words: [0, 1], run: queue },
  {
    name: "job retry",
    takes: "<id>",
    about: "has a job that failed tried again; of a video that failed, all that is left",
    words: [1, 1],
    run: retry,
  },
  {
    name: "events",
    takes: "--follow",
    about: "what services tell each other, as it happens, until you end it",
    words: [0, 0],
    run: events,
  },
  { name: "transcoders", takes: "", about: "every transcoder, asked now", words: [0, 0], run: transcoders },
  { name: "config", takes: "", about: "the settings of the process that answers, without secrets", words: [0, 0], run: settingsHere },
  { name: "ring", takes: "", about: "the ring, its disks, and what moves", words: [0, 0], run: overview },
  { name: "ring add", takes: "<address> [--weight 4TB]", about: "stages a disk to get a share", words: [1, 1], run: add },
  { name: "ring drain", takes: "<disk>", about: "stages a disk to give its share away", words: [1, 1], run: staging("drain") },
  {
    name: "ring remove",
    takes: "<disk> [--force]",
    about: "stages a disk to be forgotten; by force when it is lost",
    words: [1, 1],
    run: staging("remove"),
  },
  { name: "ring weight", takes: "<disk> <4TB|capacity>", about: "stages another weight", words: [2, 2], run: staging("weight") },
  {
    name: "ring unstage",
    takes: "[disk]",
    about: "forgets what is staged",
    words: [0, 1],
    async run(caller, { words: [said] }) {
      await call(caller, ring.unstage, said === undefined ? {} : { disk: (await diskOf(caller, said)).id });
      const staged = await call(caller, ring.staged, {});
      return { data: { staged }, text: stagedText(staged) };
    },
  },
  { name: "ring plan", takes: "", about: "what the staged changes would move", words: [0, 0], run: planned },
  { name: "ring apply", takes: "", about: "makes the staged changes", words: [0, 0], run: apply },
  {
    name: "disks",
    takes: "",
    about: "every disk, asked now",
    words: [0, 0],
    async run(caller) {
      const disks = await call(caller, ring.disks, {});
      return { data: { disks }, text: disksText(disks) };
    },
  },
  {
    name: "disk scrub",
    takes: "<disk> [pause|resume]",
    about: "verifies every chunk of a disk, beginning now; pauses that, or lets it go on",
    words: [1, 2],
    run: scrub,
  },
  {
    name: "storage verify",
    takes: "[disk]",
    about: "compares disks with what they should hold; what lacks is brought, what is too much goes",
    words: [0, 1],
    async run(caller, { words: [said] }) {
      const asked = said === undefined ? {} : { disk: (await diskOf(caller, said)).id };
      const { disks } = await call(caller, upkeep.compare, asked);
      return { data: { disks }, text: `compared as soon as a worker is free: ${disks.map(short).join(", ") || "no disk answers"}` };
    },
  },
  {
    name: "storage move",
    takes: "[address or disk …]",
    about: "brings everything to these disks, or to a bucket, and forgets the others; say it again until it is done",
    words: [0, TARGETS_MAX],
    run: moveStorage,
  },
  {
    name: "storage usage",
    takes: "",
    about: "what is stored, and what it takes",
    words: [0, 0],
    async run(caller) {
      const usage = await call(caller, blobs.usage, {});
      return { data: usage, text: usageText(usage) };
    },
  },
  {
    name: "repairs",
    takes: "",
    about: "copies that disks lack",
    words: [0, 0],
    async run(caller) {
      const backlog = await call(caller, blobs.backlog, {});
      return { data: { backlog }, text: repairsText(backlog) };
    },
  },
];
