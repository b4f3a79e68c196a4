/** `npm run api:generate`: writes the types of the API's client. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { description } from "../support/description.ts";
import { CLIENT_TYPES, clientTypes } from "./client.ts";
import { root } from "./sources.ts";

mkdirSync(dirname(join(root, CLIENT_TYPES)), { recursive: true });
writeFileSync(join(root, CLIENT_TYPES), clientTypes(description));
