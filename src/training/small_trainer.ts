// Trains a model so small that one workgroup holds all of it.

import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import { compile, type Preparation } from "../device/prepare.ts";
import type { Dispatch } from "../device/schedule.ts";
import { placeholders } from "../device/tensors.ts";
import type { TrainerState } from "../files/checkpoint.ts";
import type { Continuation, DecodedToken } from "../generation/decoder.ts";
import { GpuDecoder } from "../generation/gpu_decoder.ts";
import { isPlain, SmallDecoder } from "../generation/small_decoder.ts";
import { planEvaluation } from "../model/evaluation_plan.ts";
import { planTexts, writingSizes } from "../model/text_plan.ts";
import { type Dims, PARAMETER_ALIGNMENT, ParameterLayout } from "../model/parameters.ts";
import { SmallLayout } from "../small/layout.ts";
import { GpuEvaluator } from "./gpu_evaluator.ts";
import { smallTrain, type SmallTuning } from "../small/ops.ts";
import { learningRate } from "../model/optimizer.ts";
import { positionsAt, type Sequences } from "../text/documents.ts";
import { type BatchTensors, SmallBatch, smallBatchList, smallBatchTable } from "../small/batch.ts";
import { sampling } from "../small/texts.ts";
import { SmallRuns, smallRunsTable } from "../small/runs.ts";
import type { StepRecord, Trainer } from "./trainer.ts";
import type { StepWindow } from "../device/windows.ts";

/** Documents in a step from which on they go to workgroups of their own. */
export const SPREAD_FROM = 4;

export class SmallTrainer implements Trainer {
  readonly tuning = null;
  private tokens = 0;
  private readonly confirmed: StepRecord[] = []; // read, not yet yielded
  /** Of the parameters after so many steps. */
  private evaluator: GpuEvaluator | undefined;
  private decoder: Promise<SmallDecoder> | undefined;
  /** Of the parameters after so many steps, for texts that the decoder cannot write. */
  private general: { step: number; decoder: GpuDecoder } | undefined;

  private readonly device: Device;
  private readonly config: Config;
  private readonly dims: Dims;
  private readonly sequences: Sequences;
  private readonly engine: SmallRuns | SmallBatch;
  private readonly small: SmallTuning;

  private constructor(
    device: Device,
    config: Config,
    dims: Dims,
    sequences: Sequences,
    engine: SmallRuns | SmallBatch,
    small: SmallTuning,
  ) {
    this.device = device;
    this.config = config;
    this.dims = dims;
    this.sequences = sequences;
    this.engine = engine;
    this.small = small;
  }

  /**
   * @param params flat, in the table's order without gaps
   * @param preparation what else the run will do
   */
  static async create(
    device: Device,
    config: Config,
    dims: Dims,
    params: Float64Array | Float32Array,
    sequences: Sequences,
    tuning: SmallTuning,
    preparation: Preparation = {},
  ): Promise<SmallTrainer> {
    const { steps, later } = smallDispatches(device, config, dims, tuning, preparation);
    await compile(device, steps, preparation, later);
    const engine =
      config.batch_size >= SPREAD_FROM
        ? await SmallBatch.create(device, config, dims, params, sequences, tuning)
        : await SmallRuns.create(device, dims, tuning, sequences, [{ config, params }]);
    return new SmallTrainer(device, config, dims, sequences, engine, tuning);
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

  async *decode(continuation: Continuation): AsyncGenerator<DecodedToken> {
    await this.settle();
    const { device, config, dims, engine, small } = this;
    this.decoder ??= SmallDecoder.create(device, config, dims, engine.params, small, {
      get: () => this.generalDecoder(),
      destroy: () => this.general?.decoder.destroy(),
    });
    yield* (await this.decoder).decode(continuation);
  }

  private async generalDecoder(): Promise<GpuDecoder> {
    if (this.general?.step !== this.engine.windows.submitted) {
      const { step, values } = await this.parameters();
      this.general?.decoder.destroy();
      const decoder = await GpuDecoder.fromValues(this.device, this.config, this.dims, values);
      this.general = { step, decoder };
    }
    return this.general.decoder;
  }

  destroy(): void {
    this.decoder?.then(
      (decoder) => decoder.destroy(),
      () => {},
    );
    this.evaluator?.destroy();
    this.engine.destroy();
  }
}

/**
 * What training such a model takes, with the sizes of no text in particular.
 * @param spreads whether the documents of a step may go to workgroups of their own
 */
export function smallDispatches(
  device: Device,
  config: Config,
  dims: Dims,
  tuning: SmallTuning,
  { validates, writes }: Preparation,
  spreads = config.batch_size >= SPREAD_FROM,
): { steps: Dispatch[]; later: Dispatch[] } {
  const layout = new ParameterLayout(dims, PARAMETER_ALIGNMENT);
  return {
    steps: spreads ? spreadStep(device, config, dims, tuning) : [wholeStep(dims, tuning)],
    later: [
      ...(validates ? planEvaluation(device, config, layout).dispatches : []),
      ...(writes ? [sampling(config, dims, tuning)] : []),
      ...(writes && !(isPlain(config) && config.max_tokens <= dims.T)
        ? planTexts(device, config, layout, writingSizes(config)).dispatches
        : []),
    ],
  };
}

function wholeStep(dims: Dims, tuning: SmallTuning): Dispatch {
  const one = { groups: 1, docs: 1, tokens: 1, orders: 1, schedules: 1 };
  const tensors = placeholders(smallRunsTable(dims, one)) as Parameters<typeof smallTrain>[0];
  return smallTrain(tensors, dims, { docs: 1, capacity: 1, groups: 1 }, tuning);
}

function spreadStep(device: Device, config: Config, dims: Dims, tuning: SmallTuning): Dispatch[] {
  const parts = Math.min(config.batch_size, tuning.parts);
  const tensors = placeholders(
    smallBatchTable(dims, { parts, docs: 1, tokens: 1 }),
  ) as BatchTensors;
  const sizes = { docs: 1, parts, size: new SmallLayout(dims).size };
  return smallBatchList(device, config, dims, tensors, sizes, tuning);
}
