/**
 * A disk: one process that serves one folder.
 *
 * It prints one line on stdout when it listens: {"event":"disk.listening","address":"host:port","id":"uuid"}; its log goes to stderr.
 * With --exit-with-parent it ends when its stdin does: a launcher that is killed leaves no disk behind.
 * Start it with UV_THREADPOOL_SIZE=16: each fsync holds one of the pool's threads, and Node's four are too few for uploads and reads at once.
 */
import { runDisk } from "./run.ts";

runDisk();
