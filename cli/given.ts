// What a user gave for an option, wherever it was written.

import { UserError } from "../src/errors.ts";

/** The command line cannot be understood. */
export class UsageError extends UserError {}

export interface Given {
  text: string;
  /** Where it was given several times, all of them in their order; `text` is the last. */
  texts?: readonly string[];
  /** How the user wrote it: `--n-embd`, `MICROGPT_N_EMBD`, or `n_embd (run.json)`. */
  label: string;
}
