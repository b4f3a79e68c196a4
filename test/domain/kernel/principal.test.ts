import { anonymous, hasRole, mayChange, maySee, onlyPerson, roles, type Principal } from "../../../services/kernel/principal.ts";

const id = "01890000-0000-7000-8000-000000000001";
const ann = "01890000-0000-7000-8000-00000000000a";
const bob = "01890000-0000-7000-8000-00000000000b";
const who = (user: string, role: Principal["role"]): Principal => ({ id: user, role });
const video = (visibility: "public" | "unlisted" | "private", owner: string | null = ann) => ({ id, owner, visibility });

it("lets each role do what those before it may, and nothing of those behind it", () => {
  const table = roles.map((role) => roles.map((least) => hasRole(who(ann, role), least)));
  expect(table).toEqual(roles.map((_, has) => roles.map((__, least) => least <= has)));
});

it("shows a private video to its owner and to administrators, and to nobody else", () => {
  expect(maySee(who(ann, "uploader"), video("private"))).toBe(true);
  expect(maySee(who(bob, "admin"), video("private"))).toBe(true);
  expect(maySee(onlyPerson, video("private"))).toBe(true);
  for (const other of [anonymous, who(bob, "viewer"), who(bob, "uploader")]) expect(maySee(other, video("private"))).toBe(false);
});

it("shows public and unlisted videos to whoever knows their address", () => {
  for (const open of [video("public"), video("unlisted")]) expect(maySee(anonymous, open)).toBe(true);
});

it("lets a signed address open the one video that it names", () => {
  expect(maySee({ ...anonymous, watches: id }, video("private"))).toBe(true);
  expect(maySee({ ...anonymous, watches: bob }, video("private"))).toBe(false);
  expect(mayChange({ ...anonymous, watches: id }, video("private"))).toBe(false);
});

it("lets owners and administrators change a video, and a video without an owner administrators alone", () => {
  expect(mayChange(who(ann, "uploader"), video("public"))).toBe(true);
  expect(mayChange(who(ann, "viewer"), video("public"))).toBe(false);
  expect(mayChange(who(bob, "uploader"), video("public"))).toBe(false);
  expect(mayChange(anonymous, video("public", null))).toBe(false);
  expect(mayChange(who(bob, "uploader"), video("public", null))).toBe(false);
  expect(mayChange(onlyPerson, video("public", null))).toBe(true);
});
