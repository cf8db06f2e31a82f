// The benchmark that microgpt's translations into other languages share: six small pieces of work, on the CPU.

import { resolveConfig } from "../config.ts";
import { median } from "../device/timing.ts";
import { dimsOf, initialParameters } from "../model/parameters.ts";
import { PythonRandom } from "../random.ts";
import { ReferenceGpt } from "../reference/gpt.ts";
import { crossEntropyBackward, crossEntropyForward, reluSquaredForward } from "../reference/ops.ts";
import { CpuTrainer } from "../training/cpu_trainer.ts";

export interface SuiteResult {
  name: string;
  description: string;
  iterations: number;
  time_ms: number;
  /** Iterations a second. */
  ops_per_sec: number;
}

interface Piece {
  name: string;
  description: string;
  run(): unknown;
}

const SEED = 42;
/** Each piece runs this long before it counts, in ms: by then its code is compiled. */
const WARMUP_MS = 100;
const REPEATS = 5;

/** Times every piece; the median of a few runs counts. */
export async function microgptSuite(): Promise<SuiteResult[]> {
  const results: SuiteResult[] = [];
  for (const { name, description, run } of pieces()) {
    for (const start = performance.now(); performance.now() - start < WARMUP_MS;) await run();
    const times: number[] = [];
    while (times.length < REPEATS) {
      const start = performance.now();
      await run();
      times.push(performance.now() - start);
    }
    const time_ms = median(times);
    results.push({ name, description, iterations: 1, time_ms, ops_per_sec: 1000 / time_ms });
  }
  return results;
}

function pieces(): Piece[] {
  // The 4,064 parameters and 8 positions that all of them use, and "emma" between two BOS.
  const config = resolveConfig("microgpt-cosine");
  const dims = dimsOf(config, 27);
  const name = Int32Array.of(26, 4, 12, 12, 0, 26);
  const draw = () => initialParameters(config, dims, new PythonRandom(SEED));
  const trainer = new CpuTrainer(config, dims, draw(), [name]);

  const values = Float64Array.from({ length: 10_000 }, (_, i) => 2 * (i + 1));
  const squares = new Float64Array(values.length);
  const [losses, stats, targets] = [new Float64Array(1), new Float64Array(2), Int32Array.of(1)];

  return [
    {
      name: "random_1m",
      description: "1M random() calls of Python's Mersenne Twister",
      run() {
        const random = new PythonRandom(SEED);
        for (let i = 0; i < 1_000_000; i++) random.random();
      },
    },
    {
      name: "gauss_100k",
      description: "100K gauss() calls of Python's Mersenne Twister",
      run() {
        const random = new PythonRandom(SEED);
        for (let i = 0; i < 100_000; i++) random.gauss(0, 1);
      },
    },
    {
      name: "value_forward_10k",
      description: "no scalar autograd here: relu(x)² of 10K values, as one operation on an array",
      run: () => reluSquaredForward(squares, values, { size: values.length }),
    },
    {
      name: "value_backward_1k",
      description:
        "no scalar autograd here: 1K forward and hand-written backward passes of log(exp(x) + exp(y)) - y",
      run() {
        for (let i = 0; i < 1_000; i++) {
          const logits = Float64Array.of(2, 3);
          crossEntropyForward(losses, stats, logits, targets, { N: 1, V: 2 });
          crossEntropyBackward(logits, stats, targets, { N: 1, V: 2, scale: 1 });
        }
      },
    },
    {
      name: "gpt_forward_10",
      description: "initial weights and 10 forward passes of one token, float64 arrays",
      run() {
        const gpt = new ReferenceGpt(config, dims, draw());
        for (let i = 0; i < 10; i++) gpt.forward({ B: 1, T: 1, inputs: Int32Array.of(0) });
      },
    },
    {
      name: "training_step_1",
      description:
        "1 training step on a name of 4 letters, float64 arrays: forward, backward, Adam",
      async run() {
        for await (const _ of trainer.run(trainer.step + 1));
      },
    },
  ];
}
