// Trains on the GPU: the whole step is one schedule, replayed with one submit a step and nothing awaited.

import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import { ReadbackRing } from "../device/ring.ts";
import { Schedule } from "../device/schedule.ts";
import {
  type Tensor,
  allocateTensors,
  checkTensors,
  destroyTensors,
  readTensor,
  sliceTensor,
  writeTensor,
} from "../device/tensors.ts";
import { GpuPredictor } from "../generation/gpu_predictor.ts";
import { biasCorrections, learningRate } from "../model/optimizer.ts";
import { type Dims, ParameterLayout } from "../model/parameters.ts";
import { StepData } from "../model/step_data.ts";
import { batchAt } from "../text/batches.ts";
import type { Tuning } from "../tuning/tune.ts";
import { Pace } from "./pace.ts";
import { planStep, SLOTS } from "../model/step_plan.ts";
import type { StepRecord, Trainer } from "./trainer.ts";

/** Windows of steps whose records may be on their way at once; more would only queue up. */
const WINDOWS = 2;
/** Bytes of a window's records at most, and how many such buffers there are. */
export const READBACK = { size: SLOTS * 8, depth: WINDOWS };

/** Steps that were submitted together and whose records are on their way. */
interface Window {
  steps: { lr: number; tokens: number }[];
  /** Starts the read of their records. */
  read: () => Promise<ArrayBuffer>;
}

export class GpuTrainer implements Trainer {
  readonly tuning: Tuning | null;
  /** Confirmed by a read of their records. */
  step = 0;
  private submitted = 0;
  private tokens = 0;
  private readonly pace = new Pace(SLOTS / WINDOWS);
  private readonly windows: Window[] = [];
  private readonly confirmed: StepRecord[] = []; // read, not yet yielded
  private predictor: GpuPredictor | undefined;

  private readonly device: Device;
  private readonly config: Config;
  private readonly layout: ParameterLayout;
  private readonly sequences: readonly Int32Array[];
  private readonly stepData: StepData;
  private readonly tensors: Record<string, Tensor>;
  /** The whole step. */
  readonly schedule: Schedule;
  private readonly ring: ReadbackRing;

  private constructor(
    device: Device,
    config: Config,
    layout: ParameterLayout,
    sequences: readonly Int32Array[],
    stepData: StepData,
    tensors: Record<string, Tensor>,
    schedule: Schedule,
    tuning: Tuning | null,
  ) {
    this.tuning = tuning;
    this.device = device;
    this.config = config;
    this.layout = layout;
    this.sequences = sequences;
    this.stepData = stepData;
    this.tensors = tensors;
    this.schedule = schedule;
    this.ring = new ReadbackRing(device, READBACK.size, READBACK.depth);
  }

  /**
   * @param params flat, in the table's order without gaps
   * @param tuning chooses the kernels of products; a rule does where it is null
   * @throws TensorTooLargeError before anything is allocated
   */
  static async create(
    device: Device,
    config: Config,
    dims: Dims,
    params: Float64Array | Float32Array,
    sequences: readonly Int32Array[],
    tuning: Tuning | null = null,
  ): Promise<GpuTrainer> {
    const { layout, table, groups, list } = planStep(device, config, dims, tuning?.product);
    checkTensors(device, [...layout.slices]);
    const tensors: Record<string, Tensor> = await allocateTensors(device, table, groups);
    const stepData = new StepData(config.batch_size * dims.T, dims.V);
    const schedule = await Schedule.create(device, list(tensors));
    const values = new ParameterLayout(dims).convert(params, layout, new Float32Array(layout.size));
    writeTensor(device, tensors.params, values);
    return new GpuTrainer(device, config, layout, sequences, stepData, tensors, schedule, tuning);
  }

  async *run(until: number, signal?: AbortSignal): AsyncGenerator<StepRecord> {
    this.pace.start();
    for (;;) {
      while (this.confirmed.length > 0) yield this.confirmed.shift()!;
      while (this.windows.length < WINDOWS && this.submitted < until && !signal?.aborted) {
        this.submitWindow(until);
      }
      if (this.windows.length === 0) return;
      await this.confirmWindow();
    }
  }

  /** Submits the next steps, one submit each; the last one also copies their records to be read. */
  private submitWindow(until: number): void {
    const { gpu } = this.device;
    const first = this.submitted % SLOTS;
    const count = Math.min(this.pace.windowSize, until - this.submitted, SLOTS - first);
    const steps: Window["steps"] = [];
    let read: (() => Promise<ArrayBuffer>) | undefined;
    for (let k = 0; k < count; k++) {
      steps.push(this.writeStep(this.submitted + k));
      const encoder = gpu.createCommandEncoder();
      this.schedule.encode(encoder);
      if (k === count - 1) {
        read = this.ring.copy(encoder, this.tensors.records.buffer, first * 8, count * 8);
      }
      gpu.queue.submit([encoder.finish()]);
    }
    this.submitted += count;
    this.windows.push({ steps, read: read! });
  }

  /** Writes what a step (from 0) reads. */
  private writeStep(step: number): { lr: number; tokens: number } {
    const { config, stepData } = this;
    const batch = batchAt(this.sequences, step, config.batch_size, config.block_size);
    const lr = learningRate(config, step);
    stepData.pack(batch, { slot: step % SLOTS, lr, ...biasCorrections(config, step) });
    this.device.gpu.queue.writeBuffer(this.tensors.step.buffer, 0, stepData.bytes);
    this.tokens += batch.num_targets;
    return { lr, tokens: this.tokens };
  }

  /** Waits for the oldest window's records; only now do its steps count. */
  private async confirmWindow(): Promise<void> {
    const { steps, read } = this.windows[0];
    const records = new Float32Array(await read());
    this.windows.shift();
    steps.forEach((step, k) => {
      this.step++;
      const [loss, grad_norm] = records.subarray(2 * k, 2 * k + 2);
      this.confirmed.push({ step: this.step, loss, grad_norm, ...step });
    });
    this.pace.done();
  }

  async parameters() {
    while (this.windows.length > 0) await this.confirmWindow();
    return { layout: this.layout, values: await readTensor(this.device, this.tensors.params) };
  }

  /** The gradients of the last step, flat in the order of `layout`. */
  async gradients() {
    const { size } = this.layout;
    const plane = { name: "grads", shape: [size], offset: 0, size };
    const first = sliceTensor(this.tensors.grads, plane);
    return { layout: this.layout, values: await readTensor(this.device, first) };
  }

  async nextLogits(tokens: readonly number[]): Promise<Float32Array> {
    const { device, config, layout, tensors } = this;
    this.predictor ??= await GpuPredictor.create(device, config, layout, tensors.params);
    return this.predictor.nextLogits(tokens);
  }

  destroy(): void {
    this.predictor?.destroy();
    this.schedule.destroy();
    this.ring.destroy();
    destroyTensors(this.tensors);
  }
}
