/** `SEED=… npx jest …` makes the random choices of a failed run again: fast-check prints the seed (jest.config.js loads this only then). */
import { configureGlobal } from "fast-check";

configureGlobal({ seed: Number(process.env["SEED"]) });
