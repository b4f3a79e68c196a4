/** Mistakes in whoever hears an event: nobody waits for an answer that could tell of them. */
import type { Context, Middleware } from "moleculer";
import { tellIfMistake } from "../services/kernel/mistakes.ts";

export const mistakesOfEvents: Middleware = {
  name: "MistakesOfEvents",
  localEvent: (next) => async (ctx: Context) => {
    try {
      return await next(ctx);
    } catch (error) {
      tellIfMistake(error, { service: ctx.service?.name ?? "broker", doing: ctx.eventName ?? "event" });
      throw error;
    }
  },
};
