/** Passwords that are shown: compared slowly, by few at once, and not for long by whoever guesses. */
import { limits } from "../limits/contract.ts";
import { countedAs } from "../kernel/address.ts";
import { failure } from "../kernel/errors.ts";
import { Permits } from "../kernel/permits.ts";
import { call, type Caller } from "../kernel/rpc.ts";
import type { Database } from "../../mixins/database/sql.ts";
import type { Identity } from "./contract.ts";
import { provesPassword } from "./domain/password.ts";
import { credentialOf } from "./store/users.ts";

/** Each takes 32 MiB and a thread of the four that also read files and compress. */
const AT_ONCE = 2;
/** Ten a second go through, so the last one waits for five. */
const WAITING_MAX = 50;

/** Wrong ones from one address: twenty in a row, then four a minute. A household or an office shares one. */
const ADDRESS = { costMs: 15_000, mostMs: 300_000 };
/** Wrong ones for one name, from anywhere: ten in a row, then one a minute. Sessions and tokens of that user go on. */
const NAME = { costMs: 60_000, mostMs: 600_000 };

export interface ShownPassword {
  readonly by: { readonly name: string } | { readonly id: string };
  readonly password: string;
  readonly address: string;
}

const turns = new Permits(AT_ONCE, { waitingMax: WAITING_MAX, refusal: "Too many are signing in at this moment." });

/** UNAUTHENTICATED, RATE_LIMITED, TOO_BUSY. Each try is paid for before it is looked at, and a right one is given back: many at once gain nothing. */
export async function provePassword(db: Database, caller: Caller, { by, password, address }: ShownPassword): Promise<Identity> {
  const whom = "name" in by ? by.name.toLowerCase() : by.id;
  const spent = [
    { key: `password/${countedAs(address)}`, ...ADDRESS },
    { key: `password/${whom}`, ...NAME },
  ];
  const refused = (await call(caller, limits.spend, { spent })).filter((level) => level.refused);
  if (refused.length > 0) throw tooMany(Math.max(...refused.map(({ aheadMs }) => aheadMs)));
  const credential = await credentialOf(db, by);
  if (!(await turns.use(async () => await provesPassword(password, credential?.record ?? null))) || !credential) {
    throw failure("UNAUTHENTICATED", "There is no such user with this password.");
  }
  await call(caller, limits.spend, { spent: spent.map(({ key, costMs }) => ({ key, costMs: -costMs })) });
  return { user: credential.user, role: credential.user.role };
}

function tooMany(aheadMs: number): Error {
  const retryAfterS = Math.ceil(Math.min(aheadMs, ADDRESS.costMs + NAME.costMs) / 1000);
  return failure("RATE_LIMITED", `Too many wrong passwords: try again in ${retryAfterS} s.`, { data: { retryAfterS } });
}
