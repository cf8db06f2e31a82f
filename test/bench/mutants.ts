// Holds the kernels' cases to it that they would notice a wrong kernel: changes one token of a kernel or of its pieces at
// a time, an operator, a number or a name, and runs the cases of that kernel until one of them fails.
//
//   node test/bench/mutants.ts                                 some of every kernel, for a few minutes
//   node test/bench/mutants.ts --kernel adamw --count 1000     all of one kernel
//   node test/bench/mutants.ts --seconds 600 --seed 2          longer, and others
//
// A changed shader is killed where a case fails, where the device does, or where it never ends; not counted where it
// does not compile; and survives where all cases pass. Each survivor is shown. Either it is equivalent, making no
// difference to any number, and belongs into mutants_equivalent.ts with the reason; or a case is missing. A child
// process runs them, so that one without an end, or one that takes the driver with it, costs only itself. Kernels that
// this device has no use for (matrix units) are left out, and named. Exit code 1 where fewer than 95 % are killed.

import { type ChildProcess, fork } from "node:child_process";
import { parseArgs } from "node:util";
import { platform } from "#platform";
import { kernelNames } from "../../src/device/link.ts";
import { findGpu } from "../harness/gpu.ts";
import { whyEquivalent } from "./mutants_equivalent.ts";
import { type Mutant, mutantsOf, sample } from "./mutants_of.ts";
import type { Answer, Task } from "./mutants_run.ts";

const { values } = parseArgs({
  options: {
    kernel: { type: "string", multiple: true },
    count: { type: "string", default: "12" },
    seconds: { type: "string", default: "300" },
    seed: { type: "string", default: "1" },
  },
});
const shaders = platform.shaders();
const kernels = values.kernel ?? kernelNames(shaders);

type Outcome = Answer["outcome"] | "endless" | "crashed";

/** Silence of so many times the longest of the unchanged kernel in its first runs, in ms, is taken for no end. */
const PATIENCE = 10;
const SHORTEST_PATIENCE = 20_000;
const FIRST_RUNS = 3;
const LONGEST_PATIENCE = 300_000;

// Changed kernels are compiled once and never again: nothing of them is to be kept.
const env = { ...process.env, ...findGpu().env, MESA_SHADER_CACHE_DISABLE: "true" };
let child: ChildProcess | undefined;

/** What becomes of a source, and the longest silence of the process that ran it. */
async function run(
  task: Task,
  patience: number,
): Promise<{ outcome: Outcome; silence: number; by?: string }> {
  child ??= fork(new URL("./mutants_run.ts", import.meta.url), {
    env,
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  const worker = child;
  let [silence, heard] = [0, performance.now()];
  let at = "";
  const ended = await new Promise<Answer | "endless" | "crashed">((resolve) => {
    let timer = setTimeout(() => resolve("endless"), patience);
    worker.on("message", (message: Answer | string) => {
      silence = Math.max(silence, performance.now() - heard);
      heard = performance.now();
      clearTimeout(timer);
      if (typeof message !== "string") return resolve(message);
      at = message;
      timer = setTimeout(() => resolve("endless"), patience);
    });
    worker.on("exit", () => resolve("crashed"));
    worker.send(task);
  });
  worker.removeAllListeners();
  if (typeof ended !== "string") return { silence, ...ended };
  worker.kill("SIGKILL");
  child = undefined;
  return { outcome: ended, silence, by: at };
}

const end = performance.now() + Number(values.seconds) * 1000;
const totals = { killed: 0, survived: 0, invalid: 0 };
const survivors: { kernel: string; mutant: Mutant }[] = [];
const absent: string[] = [];

for (const [i, kernel] of kernels.entries()) {
  const { outcome, silence } = await run({ kernel, most: FIRST_RUNS }, LONGEST_PATIENCE);
  if (outcome === "absent") {
    absent.push(kernel);
    continue;
  }
  if (outcome !== "survived") throw new Error(`${kernel}.wgsl as it is: ${outcome}`);
  const patience = Math.max(SHORTEST_PATIENCE, PATIENCE * silence);
  const counts = { killed: 0, survived: 0, invalid: 0 };
  const stop = performance.now() + (end - performance.now()) / (kernels.length - i);
  const mutants = mutantsOf(shaders, kernel).filter(
    (mutant) => whyEquivalent(mutant) === undefined,
  );
  for (const mutant of sample(mutants, Number(values.count), Number(values.seed))) {
    if (performance.now() > stop) break;
    const result = await run({ kernel, file: mutant.file, code: mutant.code }, patience);
    const kind =
      result.outcome === "survived" || result.outcome === "invalid" ? result.outcome : "killed";
    counts[kind]++;
    totals[kind]++;
    if (kind === "survived") survivors.push({ kernel, mutant });
  }
  console.log(
    `${kernel.padEnd(30)}${counts.killed} killed, ${counts.survived} survived, ${counts.invalid} did not compile`,
  );
}
child?.kill("SIGKILL");

for (const { kernel, mutant } of survivors) {
  console.log(
    `\nsurvived: ${mutant.file}.wgsl:${mutant.line} in ${kernel}: ${mutant.was} became ${mutant.is}\n  ${mutant.text}`,
  );
}
if (absent.length > 0) console.log(`\nnot on this device: ${absent.join(", ")}`);
const share = totals.killed / (totals.killed + totals.survived);
console.log(
  `\n${totals.killed} of ${totals.killed + totals.survived} killed (${(100 * share).toFixed(1)} %), ` +
    `${totals.invalid} did not compile`,
);
process.exitCode = share >= 0.95 ? 0 : 1;
