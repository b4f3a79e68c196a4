/** A transcoder as a process of its own, that tests kill: with the services that it needs, on a database and disks that are there. */
import blobsService from "../../services/blobs/blobs.service.ts";
import jobsService from "../../services/jobs/jobs.service.ts";
import ringService from "../../services/ring/ring.service.ts";
import storageService from "../../services/storage/storage.service.ts";
import transcoderService from "../../services/transcoder/transcoder.service.ts";
import videosService from "../../services/videos/videos.service.ts";
import { loadConfig } from "../../config/index.ts";
import { startServices } from "./services.ts";

const services = [ringService, blobsService, jobsService, storageService, videosService, transcoderService];
const broker = await startServices(loadConfig().DATABASE_URL ?? "", ...services);
process.on("message", () => void broker.stop().then(() => process.exit(0)));
process.on("disconnect", () => process.exit(1));
process.send?.("ready");
