/** The rival for reads. */
import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../deploy/local/free-port.ts";
import { eventually } from "../test/support/eventually.ts";
import { needs } from "../test/support/neighbours.ts";

/** nginx as its packages come, for the files in `folder`/www: sendfile, one worker a core, no access log. Answers the address of that folder. */
export async function startNginx(folder: string): Promise<{ url: string; pid: number; stop: () => void }> {
  const port = await freePort();
  const config = `daemon off; worker_processes auto; pid ${folder}/nginx.pid; error_log stderr crit;
events { worker_connections 256; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  server { listen 127.0.0.1:${port}; root ${folder}/www; } }`;
  await writeFile(join(folder, "nginx.conf"), config);
  const child = spawn(needs("nginx"), ["-c", join(folder, "nginx.conf"), "-p", folder], { stdio: "inherit" });
  const url = `http://127.0.0.1:${port}`;
  await eventually(async () => (await fetch(`${url}/`)).status > 0, { what: "nginx" });
  return { url, pid: child.pid!, stop: () => child.kill("SIGTERM") };
}
