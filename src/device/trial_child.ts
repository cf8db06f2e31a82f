// Makes the pipelines that it reads from its standard input, each with a name, and prints the name of each once it is
// made. A process of its own, see trial.ts.

import { text } from "node:stream/consumers";
import { platform } from "#platform";
import { openDevice } from "./device.ts";
import type { PipelineSpec } from "./schedule.ts";

const open = JSON.parse(await text(process.stdin)) as [name: string, spec: PipelineSpec][];
const { kernels } = await openDevice();
const work = open.map(async ([name, { kernel, constants, halves }]) => {
  try {
    await kernels.pipeline(kernel, constants, halves);
  } catch {
    // An error with words is told by whoever needs the pipeline.
  }
  process.stdout.write(`${name}\n`);
});
await platform.wait(Promise.all(work));
process.exit(0);
