/** A process of its own that ends of a mistake, as launchers do. */
import { loadConfig } from "../../config/index.ts";
import { startSentry } from "../../config/sentry.ts";
import { launch } from "../../deploy/local/launch.ts";

await launch(async (stops) => {
  stops.push(await startSentry(loadConfig(), { instance: "program", tell: () => {} }));
  setImmediate(() => {
    throw new Error("sesame");
  });
  // Something else goes on.
  setInterval(() => {}, 1000);
});
