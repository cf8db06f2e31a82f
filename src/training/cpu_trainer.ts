// Trains on the CPU with the float64 reference: the fallback where there is no GPU, and the judge where there is.

import type { Config } from "../config.ts";
import type { TrainerState } from "../files/checkpoint.ts";
import { Breather } from "../generation/breather.ts";
import { CpuPredictor } from "../generation/predictor.ts";
import { type Dims, isGain } from "../model/parameters.ts";
import { ReferenceGpt } from "../reference/gpt.ts";
import { adamw, gradientSum, gradNorm } from "../reference/ops.ts";
import { batchAt, batchesOf, type Examples } from "../text/batches.ts";
import { biasCorrections, learningRate } from "../model/optimizer.ts";
import type { StepRecord, Trainer } from "./trainer.ts";

export class CpuTrainer implements Trainer {
  readonly tuning = null;
  step = 0;
  private tokens = 0;
  private readonly breather = new Breather();
  private readonly config: Config;
  private readonly examples: Examples;
  private readonly gpt: ReferenceGpt;
  private readonly predictor: CpuPredictor;
  private readonly m: Float64Array;
  private readonly v: Float64Array;
  private readonly partials = new Float64Array(1);
  /** Gains and what is none, one after the other. */
  private readonly runs: { first: number; end: number; gains: boolean }[] = [];

  /** @param params flat, in the table's order; updated in place */
  constructor(config: Config, dims: Dims, params: Float64Array, examples: Examples) {
    this.config = config;
    this.examples = examples;
    this.gpt = new ReferenceGpt(config, dims, params);
    this.predictor = new CpuPredictor(config, dims, params);
    this.m = new Float64Array(params.length);
    this.v = new Float64Array(params.length);
    for (const slice of this.gpt.layout.slices) {
      const [gains, end] = [isGain(slice), slice.offset + slice.size];
      const last = this.runs.at(-1);
      if (last?.gains === gains) last.end = end;
      else this.runs.push({ first: slice.offset, end, gains });
    }
  }

  async *run(until: number, signal?: AbortSignal): AsyncGenerator<StepRecord> {
    while (this.step < until && !signal?.aborted) {
      const work = this.trainStep();
      let part = work.next();
      while (!part.done) {
        if (this.breather.tired) await this.breather.rest();
        if (signal?.aborted) return; // the step is given up, and the state is that of the last one
        part = work.next();
      }
      yield part.value;
      if (this.breather.tired) await this.breather.rest();
    }
  }

  /** Nothing is changed but gradients before the last part, which is in one piece. */
  private *trainStep(): Generator<void, StepRecord> {
    const { config, gpt, step } = this;
    const batch = batchAt(this.examples, step, config.batch_size);
    yield* gpt.forwardInParts(batch, { step });
    const loss = yield* gpt.lossInParts(batch);
    yield* gpt.backwardInParts(batch);
    const size = gpt.grads.length;
    gradientSum(gpt.grads, this.partials, { size, planes: 1, chunk: size });
    const grad_norm = gradNorm(this.partials);
    const lr = learningRate(config, step);
    const clip = clipFactor(config.grad_clip, grad_norm);
    const settings = { ...config, ...biasCorrections(config, step), lr, clip };
    for (const { first, end, gains } of this.runs) {
      const part = (flat: Float64Array) => flat.subarray(first, end);
      adamw(part(gpt.params), part(this.m), part(this.v), part(gpt.grads), {
        ...settings,
        size: end - first,
        weight_decay: gains ? 0 : config.weight_decay,
      });
    }
    this.step = step + 1;
    this.tokens += batch.num_targets;
    return { step: this.step, loss, lr, grad_norm, tokens: this.tokens };
  }

  async evaluate(sequences: readonly Int32Array[], signal?: AbortSignal): Promise<number> {
    let sum = 0;
    let count = 0;
    for (const batch of batchesOf(sequences, this.config.batch_size)) {
      await this.breather.through(this.gpt.forwardInParts(batch), signal);
      sum += (await this.breather.through(this.gpt.lossInParts(batch), signal)) * batch.num_targets;
      count += batch.num_targets;
    }
    return sum / count;
  }

  async parameters() {
    const { layout, params } = this.gpt;
    return { step: this.step, layout, values: params.slice() };
  }

  async state(): Promise<TrainerState> {
    const { step, tokens } = this;
    const { layout, params } = this.gpt;
    const [values, m, v] = [params, this.m, this.v].map((flat) => flat.slice());
    return { step, tokens, layout, values, m, v, scaler: [1, 0, 0], skips: 0 };
  }

  restore({ step, tokens, values, m, v }: TrainerState): void {
    this.step = step;
    this.tokens = tokens;
    this.gpt.params.set(values);
    this.m.set(m);
    this.v.set(v);
  }

  nextLogits(tokens: readonly number[], signal?: AbortSignal): Promise<ArrayLike<number>> {
    return this.predictor.nextLogits(tokens, signal);
  }

  destroy(): void {}
}

/** Factor on the gradients that brings their norm down to grad_clip; 1 if it is off or not reached. */
export function clipFactor(grad_clip: number, grad_norm: number): number {
  return grad_clip > 0 && grad_norm > grad_clip ? grad_clip / grad_norm : 1;
}
