/** Tells who has the secret what a disk can be asked (grpc.reflection.v1): `grpcurl` and its like need no copy of the protocol then. */
import { join } from "node:path";
import type { Server } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";

const ROOT = join(import.meta.dirname, "../../../proto");

export function addReflection(server: Server): void {
  const definition = loadSync("tritontube/disk/v1/disk.proto", { includeDirs: [ROOT] });
  new ReflectionService(definition).addToServer(server);
}
