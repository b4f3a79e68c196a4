/**
 * A wire of some length between a client and a server on one machine: what comes in on one side goes out on the other some milliseconds later, in
 * order, and who does not read holds up who writes. The kernel's netem is not everywhere. Run as a process of its own:
 * `fork(delayModule, [ms, host:port, …])` answers the ports.
 */
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** On the wire at a time, as a fast link would have at these distances. */
const WIRE_BYTES = 32 * 1024 * 1024;

export const delayModule = import.meta.filename;

function carry(from: Socket, to: Socket, ms: number): void {
  let travelling = 0;
  from.on("data", (bytes) => {
    travelling += bytes.length;
    if (travelling > WIRE_BYTES) from.pause();
    setTimeout(() => {
      to.write(bytes, () => {
        travelling -= bytes.length;
        if (travelling <= WIRE_BYTES) from.resume();
      });
    }, ms);
  });
  from.on("end", () => setTimeout(() => to.end(), ms));
  from.on("error", () => to.destroy());
  from.on("close", () => setTimeout(() => to.destroy(), ms));
}

async function listen(target: string, ms: number): Promise<number> {
  const [host, port] = target.split(":");
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ host: host!, port: Number(port), noDelay: true });
    carry(near, far, ms);
    carry(far, near, ms);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return (server.address() as AddressInfo).port;
}

const [, main, ms, ...targets] = process.argv;
if (main === delayModule) process.send?.(await Promise.all(targets.map(async (target) => await listen(target, Number(ms)))));
