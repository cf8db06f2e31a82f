#!/usr/bin/env node
// The program: `microgpt-webgpu COMMAND [flags]`. Compiled code is kept between runs, so that every run but the first
// starts in half the time. Plain JavaScript, or Node would load its TypeScript compiler for it.

import * as module from "node:module";

module.enableCompileCache?.(); // Node 20 has none
const { start } = await import("./main.ts");
await start();
