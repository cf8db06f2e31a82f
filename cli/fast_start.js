// Loaded before a command (`node --import ./cli/fast_start.js …`): compiled code is kept between runs, so that every
// run but the first starts in half the time. Plain JavaScript, or Node would load its TypeScript compiler for it.

import { enableCompileCache } from "node:module";

enableCompileCache();
