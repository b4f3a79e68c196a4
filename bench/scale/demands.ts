/** What a simulated hour asks of each part that it does not simulate: by the figures that were measured, as if each were as fast under load. */
import { BYTES, CONTROL, DISKS, HEARTBEAT_S, TRANSACTIONS, WORKERS } from "./measured.ts";
import type { Outcome, Scale } from "./world.ts";

/** Nodes beside transcoders: gateways, those that decide, and those of the ring. */
const OTHER_NODES = 20;
const FULL = 0.85;

export interface Demands {
  /** Calls that answer with no work, and all others, a second. */
  readonly claims: number;
  readonly calls: number;
  readonly databaseCores: number;
  readonly decidingCores: number;
  /** Deliveries of NATS a second: of calls, of what is told to all, and of heartbeats. */
  readonly messages: { readonly calls: number; readonly told: number; readonly heartbeats: number };
  readonly gatewayCores: number;
  /** Bytes a second. */
  readonly uploaded: number;
  readonly read: number;
  readonly rendered: number;
  readonly diskCores: number;
  /** Bytes a second that each disk writes and reads. */
  readonly writesADisk: number;
  readonly readsADisk: number;
  /** Bytes a day on all disks, and the days until they are full. */
  readonly storedADay: number;
  readonly days: number;
  /** Share of the transcoders' processors, with what their bytes cost. */
  readonly transcoders: number;
}

export function demandsOf(outcome: Outcome, scale: Scale, disks: number): Demands {
  const perSecond = (count: number): number => count / outcome.seconds;
  const { transcoders, cores, told } = scale;
  const nodes = transcoders + OTHER_NODES;
  const claims = perSecond(outcome.claims);
  const transactions = perSecond(
    outcome.segments * TRANSACTIONS.segment + outcome.jobs * TRANSACTIONS.job + outcome.uploads * TRANSACTIONS.upload,
  );
  const calls = transactions + transcoders / WORKERS.beatS;
  const [uploaded, read, rendered] = [outcome.uploadedBytes, outcome.readBytes, outcome.writtenBytes].map(perSecond) as [
    number,
    number,
    number,
  ];
  const stored = 3 * (uploaded + rendered);
  const moving = (read * BYTES.read + rendered * BYTES.gatewayWrite) / 1e9;
  return {
    claims,
    calls,
    databaseCores: claims * CONTROL.claim + calls * CONTROL.transaction,
    decidingCores: (claims + calls) * CONTROL.call,
    messages: {
      calls: 2 * (claims + calls),
      told: perSecond(outcome.announcements) * Math.min(told, nodes),
      heartbeats: (nodes * (nodes - 1)) / HEARTBEAT_S,
    },
    gatewayCores: (uploaded * BYTES.gatewayWrite) / 1e9,
    uploaded,
    read,
    rendered,
    diskCores: ((uploaded + rendered) * BYTES.disksWrite + read * BYTES.disksRead) / 1e9,
    writesADisk: stored / disks,
    readsADisk: read / disks,
    storedADay: stored * 86_400,
    days: (disks * DISKS.bytes * FULL) / (stored * 86_400),
    transcoders: (perSecond(outcome.busyS) + moving) / (transcoders * cores),
  };
}
