/** Who asks, and what follows from it. The gateway finds it out; it goes along as the parameter `as` of each action that looks at whose a thing is. */
import { z } from "zod";
import { uuid } from "./schemas.ts";

/** Each may do what those before it may. */
export const roles = ["anonymous", "viewer", "uploader", "admin"] as const;
const role = z.enum(roles);
export type Role = z.infer<typeof role>;

export const principal = z.strictObject({
  /** The user; null for whoever did not sign in, and for the one person of a server where nobody does. */
  id: uuid.nullable(),
  role,
  /** The one video that a signed address lets its bearer watch, whoever that is. */
  watches: uuid.optional(),
});
export type Principal = Readonly<z.infer<typeof principal>>;

export const anonymous: Principal = { id: null, role: "anonymous" };
/** Where nobody signs in, whoever reaches the server owns it. */
export const onlyPerson: Principal = { id: null, role: "admin" };

export function hasRole(as: Principal, least: Role): boolean {
  return roles.indexOf(as.role) >= roles.indexOf(least);
}

/** What rights on a video hang on. */
interface Owned {
  readonly id: string;
  readonly owner: string | null;
  readonly visibility: "public" | "unlisted" | "private";
}

/** Whether it may be watched and read by somebody who knows its address. Who may not is told that there is no such video. */
export function maySee(as: Principal, video: Owned): boolean {
  return video.visibility !== "private" || as.watches === video.id || mayChange(as, video);
}

/** Whether it may be changed, deleted, restored, and read as only its owner may: its source, its analytics. A viewer changes nothing, whatever was once its own. */
export function mayChange(as: Principal, { owner }: Pick<Owned, "owner">): boolean {
  return as.role === "admin" || (hasRole(as, "uploader") && as.id !== null && as.id === owner);
}
