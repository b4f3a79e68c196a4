import { ApiError } from "./api.ts";
import { byId, toast } from "./dom.ts";
import { Home } from "./home.ts";
import { startIntake } from "./intake.ts";
import { Router } from "./router.ts";
import { startUploadPanel } from "./upload-panel.ts";
import { Uploads } from "./uploads.ts";
import { startSession } from "./session.ts";
import { lostPage } from "./lost.ts";
import { openWatchPage } from "./watch.ts";

const uploads = new Uploads();
const intake = startIntake((files) => uploads.add(files));
startUploadPanel(uploads, intake.choose);
uploads.restore();
const home = new Home(intake.choose);
uploads.onArrival(() => home.refresh());
addEventListener("beforeunload", (event) => {
  if (uploads.sending) event.preventDefault();
});

const router = new Router(byId("main", HTMLElement), [
  { pattern: /^\/$/, open: (_, signal) => home.open(signal) },
  { pattern: /^\/watch\/([^/]+)$/, open: (id, signal) => openWatchPage({ id, signal, leave: () => router.navigate("/") }) },
  { pattern: /^/, open: () => lostPage("There is nothing at this address.") },
]);

startSession(() => router.navigate(location.pathname)).catch((error: unknown) =>
  toast(error instanceof ApiError ? error.title : String(error)),
);
