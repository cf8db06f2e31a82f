// Trains on the CPU with the float64 reference: the fallback where there is no GPU, and the judge where there is.

import type { Config } from "../config.ts";
import type { TrainerState } from "../files/checkpoint.ts";
import { Breather } from "../platform/breather.ts";
import { CpuDecoder } from "../generation/cpu_decoder.ts";
import type { Continuation, DecodedToken } from "../generation/decoder.ts";
import { frozenDims, mergedConfig } from "../model/adapters.ts";
import { mergeAdapters } from "../model/merge.ts";
import type { Dims } from "../model/parameters.ts";
import { ReferenceGpt } from "../reference/gpt.ts";
import { clipFactor, gradientSum, gradNorm } from "../reference/ops.ts";
import { accumulate } from "../reference/optimizers.ts";
import { batchesOf, type Examples, microBatchesAt } from "../text/batches.ts";
import { learningRate } from "../model/optimizer.ts";
import { CpuOptimizer } from "./cpu_optimizer.ts";
import type { StepRecord, Trainer } from "./trainer.ts";

export class CpuTrainer implements Trainer {
  readonly tuning = null;
  step = 0;
  private tokens = 0;
  private readonly breather = new Breather();
  private readonly config: Config;
  private readonly examples: Examples;
  private readonly gpt: ReferenceGpt;
  /** Of a model with adapters made of both, anew where the step is another. */
  private decoder: CpuDecoder;
  private decodes = 0;
  private readonly frozen: Float64Array | undefined;
  private readonly optimizer: CpuOptimizer;
  /** Of the gradients of a step's micro-batches, where it has several. */
  private readonly sums: Float64Array | undefined;
  private readonly partials = new Float64Array(1);

  /**
   * @param params flat, in the table's order; updated in place
   * @param frozen of a model with adapters the other weights, in the same manner
   */
  constructor(
    config: Config,
    dims: Dims,
    params: Float64Array,
    examples: Examples,
    frozen?: Float64Array,
  ) {
    this.frozen = frozen;
    this.config = config;
    this.examples = examples;
    this.gpt = new ReferenceGpt(config, dims, params, frozen);
    this.decoder = this.newDecoder();
    this.optimizer = new CpuOptimizer(config, this.gpt.layout);
    if (config.grad_accumulation > 1) this.sums = new Float64Array(params.length);
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
    const { config, gpt, step, sums, optimizer } = this;
    const { batches, num_targets } = microBatchesAt(this.examples, step, config);
    const size = gpt.grads.length;
    let loss = 0;
    let micro = 0;
    for (const batch of batches) {
      const share = { ...batch, num_targets }; // sums over all micro-batches are divided once
      yield* gpt.forwardInParts(share, { step, row: micro * config.batch_size });
      loss += yield* gpt.lossInParts(share);
      yield* gpt.backwardInParts(share);
      if (sums) accumulate(sums, gpt.grads, { size, planes: 1, micro });
      micro++;
    }
    const grads = sums ?? gpt.grads;
    gradientSum(grads, this.partials, { size, planes: 1, chunk: size });
    const grad_norm = gradNorm(this.partials);
    yield* optimizer.update(gpt.params, grads, step, clipFactor(config.grad_clip, grad_norm));
    this.step = step + 1;
    this.tokens += num_targets;
    const lr = learningRate(config, step);
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
    const { m: mean, v: square } = this.optimizer.moments;
    const [values, m, v] = [params, mean, square].map((flat) => flat.slice());
    return { step, tokens, layout, values, m, v, scaler: [1, 0, 0], skips: 0 };
  }

  restore({ step, tokens, values, m, v }: TrainerState): void {
    this.step = step;
    this.tokens = tokens;
    this.gpt.params.set(values);
    this.optimizer.moments.m.set(m);
    this.optimizer.moments.v.set(v);
  }

  private newDecoder(): CpuDecoder {
    const { config, gpt, frozen } = this;
    if (!frozen) return new CpuDecoder(config, gpt.dims, gpt.params);
    const adapters = { layout: gpt.layout, values: gpt.params };
    const values = mergeAdapters(config, gpt.dims, frozen, adapters);
    return new CpuDecoder(mergedConfig(config), frozenDims(gpt.dims), values);
  }

  decode(continuation: Continuation): AsyncGenerator<DecodedToken> {
    if (this.frozen && this.decodes !== this.step) this.decoder = this.newDecoder();
    this.decodes = this.step;
    return this.decoder.decode(continuation);
  }

  destroy(): void {}
}
