#!/usr/bin/env node
// The program: `microgpt-webgpu COMMAND [flags]`. Compiled code is kept between runs, so that every run but the first
// starts in half the time. Plain JavaScript, or Node would load its TypeScript compiler for it.

import * as module from "node:module";

module.enableCompileCache?.(); // Node 20 has none
const { start } = await import("./main.ts").catch((error) => {
  if (error.code !== "ERR_UNKNOWN_FILE_EXTENSION") throw error;
  console.error(
    `Node ${process.versions.node} does not run TypeScript: take Node 22.18 or newer, or the one that npm installs here, as in npm run train.`,
  );
  process.exit(1);
});
await start();
