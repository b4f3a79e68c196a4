/** What the work costs and what comes of it: told to the queue for each job, and counted for Prometheus. */
import type { Service, ServiceBroker } from "moleculer";
import { jobs } from "../jobs/contract.ts";
import { messageOf } from "../kernel/errors.ts";
import { call } from "../kernel/rpc.ts";

/** Of this process. How they grow in a second is the speed in times of real time, and the processors that are busy with it. */
const counters = {
  "tritontube.transcoded.seconds": "Seconds of video that were encoded, in all of their renditions.",
  "tritontube.transcoder.cpu.seconds": "Seconds of processors that ffmpeg took.",
} as const;

export function registerCounters({ metrics }: ServiceBroker): void {
  for (const [name, description] of Object.entries(counters)) metrics.register({ type: "counter", name, description });
}

type Owner = Pick<Service, "broker" | "logger">;

export class Account {
  readonly #service: Owner;
  readonly #job: string;
  #cpuSeconds = 0;

  constructor(service: Owner, job: string) {
    this.#service = service;
    this.#job = job;
  }

  spent(cpuSeconds: number): void {
    this.#cpuSeconds += cpuSeconds;
    this.#count("tritontube.transcoder.cpu.seconds", cpuSeconds);
  }

  made(seconds: number): void {
    this.#count("tritontube.transcoded.seconds", seconds);
  }

  /** Never rejects: a job does not fail because it is not known what it has cost. */
  async settle(): Promise<void> {
    const { broker, logger } = this.#service;
    if (this.#cpuSeconds === 0) return;
    await call(broker, jobs.spent, { id: this.#job, cpuSeconds: this.#cpuSeconds }).catch((error: unknown) =>
      logger.info("what a job has taken of processors could not be told", { id: this.#job, reason: messageOf(error) }),
    );
  }

  #count(name: keyof typeof counters, seconds: number): void {
    this.#service.broker.metrics.increment(name, {}, seconds);
  }
}
