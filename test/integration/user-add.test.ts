/** `npm run user:add`: how the first user comes in. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { onlyPerson } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import limitsService from "../../services/limits/limits.service.ts";
import { users } from "../../services/users/contract.ts";
import usersService from "../../services/users/users.service.ts";
import { testDatabase } from "../support/postgres.ts";
import { removeFolder, temporaryFolder } from "../support/tritontube.ts";
import { startServices } from "../support/services.ts";

const program = join(import.meta.dirname, "../../deploy/local/user-add.ts");

it("says which folder it made an installation in", async () => {
  const folder = await temporaryFolder("tritontube-user-add-");
  const env = { ...process.env, NODE_OPTIONS: "", DATABASE_URL: "", DATA_DIR: join(folder, "new") };
  const add = (name: string) =>
    spawnSync(process.execPath, [program, "--name", name, "--role", "admin"], { input: "a good long one", env, encoding: "utf8" });
  expect(add("root")).toMatchObject({ status: 0, stderr: expect.stringContaining(`no installation in ${join(folder, "new")}`) });
  expect(add("ann")).toMatchObject({ status: 0, stderr: "" });
  await removeFolder(folder);
});

it("makes users who can sign in, with a password of their own or one that is shown once, and says what is wrong", async () => {
  const database = await testDatabase();
  const add = (input: string, ...args: string[]) => {
    const env = { ...process.env, NODE_OPTIONS: "", DATABASE_URL: database.url };
    const { stdout, stderr, status } = spawnSync(process.execPath, [program, ...args], { input, env, encoding: "utf8" });
    return { stdout, stderr, status };
  };
  const made = add("", "--name", "root", "--role", "admin");
  const password = /once: ([\w-]{20})\n$/.exec(made.stdout)?.[1] ?? "";
  expect(add("a good long one\n", "--name", "ann", "--role", "viewer")).toEqual({
    status: 0,
    stdout: "ann may sign in as viewer.\n",
    stderr: "",
  });
  const token = add("another long one", "--name", "eve", "--role", "uploader", "--token").stdout.trim().split("\n").at(-1) ?? "";
  expect(add("", "--name", "ann", "--role", "viewer")).toMatchObject({ status: 1, stderr: "There is a user ann already.\n" });
  expect(add("short", "--name", "bob", "--role", "king").stderr).toMatch(/role .*"viewer".*; password must have at least 10 characters/);
  expect(add("", "--name", "bob").stderr).toMatch(/^Usage: npm run user:add/);

  const broker = await startServices(database.url, usersService, limitsService);
  const about = { address: "192.0.2.1", requestId: "a-request" };
  expect((await call(broker, users.signIn, { ...about, name: "root", password })).identity.role).toBe("admin");
  expect((await call(broker, users.signIn, { ...about, name: "ann", password: "a good long one" })).identity.role).toBe("viewer");
  expect(await call(broker, users.identify, { kind: "token", token })).toMatchObject({ role: "uploader", user: { name: "eve" } });
  expect(await call(broker, users.list, { as: onlyPerson })).toHaveLength(3);
  await broker.stop();
  await database.drop();
});
