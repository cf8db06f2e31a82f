// Loaded before a command (`node --import ./cli/fast_start.ts …`): compiled code is kept between runs, so that every
// run but the first starts in half the time.

import { enableCompileCache } from "node:module";

enableCompileCache();
