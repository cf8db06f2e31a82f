// Trains a model so small that one workgroup holds all of it.

import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import type { TrainerState } from "../files/checkpoint.ts";
import { GpuPredictor } from "../generation/gpu_predictor.ts";
import type { Dims } from "../model/parameters.ts";
import { GpuEvaluator } from "./gpu_evaluator.ts";
import type { SmallTuning } from "../model/small_ops.ts";
import { learningRate } from "../model/optimizer.ts";
import { positionsAt, type Sequences } from "../text/documents.ts";
import { SmallBatch } from "./small_batch.ts";
import { SmallRuns } from "./small_runs.ts";
import type { StepRecord, Trainer } from "./trainer.ts";
import type { StepWindow } from "./windows.ts";

/** Documents in a step from which on they go to workgroups of their own. */
export const SPREAD_FROM = 4;

export class SmallTrainer implements Trainer {
  readonly tuning = null;
  private tokens = 0;
  private readonly confirmed: StepRecord[] = []; // read, not yet yielded
  /** Of the parameters after so many steps. */
  private evaluator: GpuEvaluator | undefined;
  private predictor: { step: number; gpu: GpuPredictor } | undefined;

  private readonly device: Device;
  private readonly config: Config;
  private readonly dims: Dims;
  private readonly sequences: Sequences;
  private readonly engine: SmallRuns | SmallBatch;

  private constructor(
    device: Device,
    config: Config,
    dims: Dims,
    sequences: Sequences,
    engine: SmallRuns | SmallBatch,
  ) {
    this.device = device;
    this.config = config;
    this.dims = dims;
    this.sequences = sequences;
    this.engine = engine;
  }

  /** @param params flat, in the table's order without gaps */
  static async create(
    device: Device,
    config: Config,
    dims: Dims,
    params: Float64Array | Float32Array,
    sequences: Sequences,
    tuning: SmallTuning,
  ): Promise<SmallTrainer> {
    const engine =
      config.batch_size >= SPREAD_FROM
        ? await SmallBatch.create(device, config, dims, params, sequences, tuning)
        : await SmallRuns.create(device, dims, tuning, sequences, [{ config, params }]);
    return new SmallTrainer(device, config, dims, sequences, engine);
  }

  get step(): number {
    return this.engine.windows.step;
  }

  async *run(until: number, signal?: AbortSignal): AsyncGenerator<StepRecord> {
    while (this.confirmed.length > 0) yield this.confirmed.shift()!;
    for await (const window of this.engine.windows.run(until, signal)) {
      this.take(window);
      while (this.confirmed.length > 0) yield this.confirmed.shift()!;
    }
  }

  private take({ first, steps, records }: StepWindow): void {
    const { config, sequences } = this;
    for (let k = 0; k < steps; k++) {
      const step = first + k;
      for (let b = 0; b < config.batch_size; b++) {
        const document = (step * config.batch_size + b) % sequences.length;
        this.tokens += positionsAt(sequences, document);
      }
      const [loss, grad_norm] = records.subarray(2 * k, 2 * k + 2);
      const lr = learningRate(config, step);
      this.confirmed.push({ step: step + 1, loss, lr, grad_norm, tokens: this.tokens });
    }
  }

  async parameters() {
    await this.settle();
    const { step } = this;
    return { step, ...(await this.engine.parameters()) };
  }

  private async settle(): Promise<void> {
    for (const window of await this.engine.windows.settle()) this.take(window);
  }

  async state(): Promise<TrainerState> {
    await this.settle();
    const { step, tokens, engine } = this;
    const [parameters, moments] = [await engine.parameters(), await engine.moments()];
    return { step, tokens, ...parameters, ...moments, scaler: [1, 0, 0], skips: 0 };
  }

  restore(state: TrainerState): void {
    this.tokens = state.tokens;
    this.engine.restore(state);
    this.engine.windows.startAt(state.step);
  }

  async evaluate(sequences: readonly Int32Array[], signal?: AbortSignal): Promise<number> {
    const { device, config, dims } = this;
    this.evaluator ??= await GpuEvaluator.withParameters(device, config, dims);
    this.evaluator.load((await this.parameters()).values);
    return this.evaluator.evaluate(sequences, signal);
  }

  async nextLogits(tokens: readonly number[]): Promise<Float32Array> {
    if (this.predictor === undefined || this.predictor.step !== this.engine.windows.submitted) {
      const { values } = await this.parameters();
      this.predictor?.gpu.destroy();
      const gpu = await GpuPredictor.fromValues(this.device, this.config, this.dims, values);
      this.predictor = { step: this.step, gpu };
    }
    return this.predictor.gpu.nextLogits(tokens);
  }

  destroy(): void {
    this.predictor?.gpu.destroy();
    this.evaluator?.destroy();
    this.engine.destroy();
  }
}
