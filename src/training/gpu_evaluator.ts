// The mean loss over sequences that are not trained on: on a training run's tensors between two of its steps, or
// on tensors of its own.

import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import { Schedule } from "../device/schedule.ts";
import { allocateTensors, destroyTensors, type Tensor, writeTensor } from "../device/tensors.ts";
import { type EvaluationPlan, planEvaluation } from "../model/evaluation_plan.ts";
import { type Dims, PARAMETER_ALIGNMENT, ParameterLayout } from "../model/parameters.ts";
import { SLOTS, StepData } from "../model/step_data.ts";
import { writeTurns } from "../model/turns.ts";
import { type Batch, batchesOf } from "../text/batches.ts";
import { Pace } from "../device/pace.ts";

/** Of a record, two floats: the mean loss of a batch, and 0. */
const RECORD_BYTES = 8;
/** Of the records' readback. */
export const READ_BYTES = SLOTS * RECORD_BYTES;

/** Mean loss over all positions of the sequences, of parameters that are flat in the table's order, without gaps. */
export async function evaluateParameters(
  device: Device,
  config: Config,
  dims: Dims,
  values: Float32Array | Float64Array,
  sequences: readonly Int32Array[],
): Promise<number> {
  const evaluator = await GpuEvaluator.withParameters(device, config, dims);
  try {
    evaluator.load(values);
    return await evaluator.evaluate(sequences);
  } finally {
    evaluator.destroy();
  }
}

export class GpuEvaluator {
  private readonly device: Device;
  private readonly config: Config;
  private readonly layout: ParameterLayout;
  private readonly tensors: Record<string, Tensor>;
  private readonly stepData: StepData;
  private readonly schedule: Schedule;
  private owned: Record<string, Tensor> = {};
  /** Batches at a time: what is submitted cannot be taken back, should a signal come. */
  private readonly pace = new Pace(SLOTS);

  private constructor(
    device: Device,
    config: Config,
    layout: ParameterLayout,
    tensors: Record<string, Tensor>,
    schedule: Schedule,
  ) {
    this.device = device;
    this.config = config;
    this.layout = layout;
    this.tensors = tensors;
    this.schedule = schedule;
    const { T, V } = layout.dims;
    this.stepData = new StepData(config.batch_size * T, V);
  }

  /** @param tensors of the plan's list; all but the parameters are written to */
  static async create(
    device: Device,
    config: Config,
    layout: ParameterLayout,
    tensors: Record<string, Tensor>,
    list: EvaluationPlan["list"],
  ): Promise<GpuEvaluator> {
    const schedule = await Schedule.create(device, list(tensors));
    return new GpuEvaluator(device, config, layout, tensors, schedule);
  }

  /** With parameters of its own, which load() writes. */
  static async withParameters(device: Device, config: Config, dims: Dims): Promise<GpuEvaluator> {
    const layout = new ParameterLayout(dims, PARAMETER_ALIGNMENT);
    const { table, groups, list } = planEvaluation(device, config, layout);
    const tensors: Record<string, Tensor> = await allocateTensors(device, table, groups);
    const evaluator = await GpuEvaluator.create(device, config, layout, tensors, list);
    writeTurns(device, config, dims, tensors);
    evaluator.owned = tensors;
    return evaluator;
  }

  /** @param values flat, in the table's order without gaps */
  load(values: Float32Array | Float64Array): void {
    const { layout, tensors } = this;
    const flat = new ParameterLayout(layout.dims);
    const padded = flat.convert(values, layout, new Float32Array(layout.size));
    writeTensor(this.device, tensors.params, padded);
  }

  /**
   * Mean loss over all positions of the sequences, with the parameters as they are.
   * @throws the signal's reason soon after it is aborted
   */
  async evaluate(sequences: readonly Int32Array[], signal?: AbortSignal): Promise<number> {
    const { batch_size, block_size } = this.config;
    const batches = [...batchesOf(sequences, batch_size, block_size)];
    let sum = 0;
    let count = 0;
    this.pace.start();
    for (let first = 0; first < batches.length;) {
      signal?.throwIfAborted();
      const part = batches.slice(first, first + this.pace.windowSize);
      first += part.length;
      const losses = await this.losses(part);
      this.pace.done(part.length);
      part.forEach(({ num_targets }, i) => {
        sum += losses[i] * num_targets;
        count += num_targets;
      });
    }
    return sum / count;
  }

  /** The mean loss of each batch. */
  private async losses(batches: readonly Batch[]): Promise<number[]> {
    const { device, stepData, schedule, tensors } = this;
    const { queue } = device.gpu;
    batches.forEach((batch, slot) => {
      stepData.pack(batch, { slot, lr: 0, correction1: 1, correction2: 1, step: 1 });
      queue.writeBuffer(tensors.step.buffer, 0, stepData.bytes);
      const encoder = device.gpu.createCommandEncoder();
      schedule.encode(encoder);
      queue.submit([encoder.finish()]);
    });
    const records = new Float32Array(await device.read(tensors.records.buffer, 0, READ_BYTES));
    return batches.map((_, slot) => records[2 * slot]);
  }

  destroy(): void {
    this.schedule.destroy();
    destroyTensors(this.owned);
  }
}
