// The benchmark that microgpt's translations into other languages share: six small pieces of work, on the CPU.

import { resolveConfig } from "../config.ts";
import { median } from "../device/timing.ts";
import { dimsOf, initialParameters } from "../model/parameters.ts";
import { PythonRandom } from "../random.ts";
import { ReferenceGpt } from "../reference/gpt.ts";
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
      description: "no scalar autograd here: relu(((x + 1) · 2)²) of 10K plain numbers",
      run() {
        const out = new Float64Array(10_000);
        for (let i = 0; i < out.length; i++) out[i] = Math.max(0, ((i + 1) * 2) ** 2);
        return out;
      },
    },
    {
      name: "value_backward_1k",
      description:
        "no scalar autograd here: log(x · y + x²) and its gradient written by hand, 1K times in plain numbers",
      run() {
        const out = new Float64Array(3_000);
        for (let i = 0; i < 1_000; i++) {
          const [x, y] = [2 + i, 3 + i];
          const sum = x * y + x ** 2;
          out[3 * i] = Math.log(sum);
          out[3 * i + 1] = (y + 2 * x) / sum;
          out[3 * i + 2] = x / sum;
        }
        return out;
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
