/** What a running server holds: looked at from outside, by its inspector, /proc and its database. */
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import type { Pool } from "pg";
import { WebSocket } from "ws";
import { eventually } from "../../test/support/eventually.ts";
import { childrenOf, type TritonTube } from "../../test/support/tritontube.ts";

/** One look, everything at rest and everything collected that can be. */
export type Figures = Readonly<Record<string, number>>;

/** The one figure that may grow: the longer code runs, the more of it is compiled. */
export const COMPILED = "compiled code, MiB";
const MIB = 1024 * 1024;
/** What V8 optimises, and what it notes for that, grows for hours, and lies among the objects as well: by snapshots of the heap all that grew. Here nothing is optimised. */
const INTERPRET = "--no-opt --no-maglev --no-sparkplug";
/** Idle timers and sockets of a pool end by themselves within this. */
const REST_MS = 60_000;

interface Memory {
  readonly objects: number;
  readonly code: number;
  readonly external: number;
  readonly rss: number;
}

/** A process of Node, as its inspector shows it. It listens from the first time it is asked for (SIGUSR1). */
class Inspector {
  readonly #socket: WebSocket;
  #asked = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  /** `output` is where the process says at which address it listens. */
  static async of(pid: number, output: () => string): Promise<Inspector> {
    const said = output().length;
    process.kill(pid, "SIGUSR1");
    const address = await eventually(() => /Debugger listening on (ws:\S+)/.exec(output().slice(said))?.[1], { what: "the inspector" });
    const socket = new WebSocket(address);
    await once(socket, "open");
    const inspector = new Inspector(socket);
    await inspector.evaluate(`process.getBuiltinModule("node:v8").setFlagsFromString(${JSON.stringify(INTERPRET)}) ?? null`);
    return inspector;
  }

  /** What it holds, in bytes, when it has collected what it can. Code is compiled anew for as long as something is found to be hot: it stands apart. */
  async memory(): Promise<Memory> {
    // What the first one finalises the second one frees.
    await this.#ask("HeapProfiler.collectGarbage");
    await this.#ask("HeapProfiler.collectGarbage");
    return await this.evaluate(`(() => {
      const { heapUsed, external, rss } = process.memoryUsage();
      const spaces = process.getBuiltinModule("node:v8").getHeapSpaceStatistics().filter(({ space_name }) => /code|trusted/.test(space_name));
      const code = spaces.reduce((sum, { space_used_size }) => sum + space_used_size, 0);
      return { objects: heapUsed - code, code, external, rss };
    })()`);
  }

  async evaluate<T>(expression: string): Promise<T> {
    const { result } = await this.#ask<{ result: { value: string } }>("Runtime.evaluate", { expression: `JSON.stringify(${expression})` });
    return JSON.parse(result.value) as T;
  }

  close(): void {
    this.#socket.terminate();
  }

  async #ask<R>(method: string, params: object = {}): Promise<R> {
    const id = (this.#asked += 1);
    const { promise, resolve } = Promise.withResolvers<R>();
    const hear = (data: Buffer): void => {
      const answer = JSON.parse(data.toString()) as { id?: number; result: R };
      if (answer.id !== id) return;
      this.#socket.off("message", hear);
      resolve(answer.result);
    };
    this.#socket.on("message", hear);
    this.#socket.send(JSON.stringify({ id, method, params }));
    return await promise;
  }
}

export interface Watched {
  readonly tube: TritonTube;
  readonly inspector: Inspector;
  readonly disks: readonly { readonly pid: number; readonly inspector: Inspector }[];
  readonly db: Pool;
  /** Where the server's temporary files would be. */
  readonly temporary: string;
}

/** The processes of the server: they run until its end. */
export async function inspect({ pid, output }: TritonTube): Promise<Pick<Watched, "inspector" | "disks">> {
  const inspector = await Inspector.of(pid, output);
  const children = (await childrenOf(pid)).filter(({ command }) => command.includes("disk/main.ts"));
  const disks = [];
  for (const child of children) disks.push({ pid: child.pid, inspector: await Inspector.of(child.pid, output) });
  return { inspector, disks };
}

/** Waits until nothing is being worked on, collects what can be collected, and looks. */
export async function look(watched: Watched): Promise<Figures> {
  const { tube, inspector, disks, db, temporary } = watched;
  await eventually(async () => await isAtRest(watched), { timeoutMs: REST_MS, what: "a server at rest" });
  const memory = await inspector.memory();
  const ofDisks = await Promise.all(disks.map(async (disk) => await disk.inspector.memory()));
  const resources = await inspector.evaluate<string[]>("process.getActiveResourcesInfo()");
  const count = (kind: RegExp): number => resources.filter((each) => kind.test(each)).length;
  return {
    "objects in the heap, MiB": memory.objects / MIB,
    [COMPILED]: memory.code / MIB,
    "outside of the heap, MiB": memory.external / MIB,
    "RSS, MiB": memory.rss / MIB,
    "objects of the disks, MiB": sum(ofDisks.map(({ objects }) => objects)) / MIB,
    "outside of the disks' heaps, MiB": sum(ofDisks.map(({ external }) => external)) / MIB,
    "RSS of the disks, MiB": sum(ofDisks.map(({ rss }) => rss)) / MIB,
    "file descriptors": await descriptors(tube.pid),
    "file descriptors of the disks": sum(await Promise.all(disks.map(async ({ pid }) => await descriptors(pid)))),
    sockets: count(/TCP|Pipe|TLS/),
    timers: count(/Timeout|Immediate/),
    processes: (await childrenOf(tube.pid)).length,
    "connections of the database": await connections(db),
    "temporary files": (await readdir(temporary, { recursive: true })).length,
  };
}

/** No call on its way, no job that could run, and no child that converts. Throws what there is of them. */
async function isAtRest({ tube, inspector, db }: Watched): Promise<boolean> {
  const converting = (await childrenOf(tube.pid)).filter(({ command }) => /ffmpeg|ffprobe/.test(command)).map(({ command }) => command);
  // What waits for bytes that nobody sends, or for its next attempt, is at rest.
  const { rows: busy } = await db.query<{ told: string }>(
    `select concat_ws(' ', kind, state, attempts, failure->>'type', failure->>'log') as told from jobs
     where state = 'running' or (state = 'queued' and video_id is not null and run_at <= now()) limit 5`,
  );
  const requests = await inspector.evaluate<string[]>("process.getActiveResourcesInfo().filter((each) => /Req/.test(each))");
  const found = [...converting, ...busy.map(({ told }) => told), ...requests];
  if (found.length > 0) throw new Error(`there is ${found.join("; ")}`);
  return true;
}

async function connections(db: Pool): Promise<number> {
  const text = "select count(*) from pg_stat_activity where datname = current_database() and application_name <> 'endurance'";
  return Number((await db.query<{ count: string }>(text)).rows[0]?.count);
}

async function descriptors(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
