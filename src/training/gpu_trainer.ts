// Trains on the GPU: the whole step is one schedule, replayed with one submit a step and nothing awaited.

import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import { ReadbackRing } from "../device/ring.ts";
import { type Dispatch, Schedule } from "../device/schedule.ts";
import {
  type Tensor,
  type TensorSpec,
  allocateTensors,
  checkTensors,
  destroyTensors,
  readTensor,
  sliceTensor,
  writeTensor,
} from "../device/tensors.ts";
import { GpuPredictor } from "../generation/gpu_predictor.ts";
import {
  type GpuGpt,
  activationTable,
  backwardList,
  forwardList,
  gradientTable,
  lossList,
} from "../model/gpu_gpt.ts";
import { GpuOps } from "../model/gpu_ops.ts";
import { type Dims, PARAMETER_ALIGNMENT, ParameterLayout } from "../model/parameters.ts";
import { StepData } from "../model/step_data.ts";
import { batchAt } from "../text/batches.ts";
import { biasCorrections, learningRate } from "../model/optimizer.ts";
import { Pace } from "./pace.ts";
import type { StepRecord, Trainer } from "./trainer.ts";

/** Records (loss, gradient norm) that the GPU keeps until they are read. */
const SLOTS = 512;
/** Windows of steps whose records may be on their way at once; more would only queue up. */
const WINDOWS = 2;
/** Bytes of a window's records at most, and how many such buffers there are. */
export const READBACK = { size: SLOTS * 8, depth: WINDOWS };
/** Gradients that one workgroup of the norm sums. */
const NORM_CHUNK = 8192;

/** Steps that were submitted together and whose records are on their way. */
interface Window {
  steps: { lr: number; tokens: number }[];
  /** Starts the read of their records. */
  read: () => Promise<ArrayBuffer>;
}

export class GpuTrainer implements Trainer {
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
  ) {
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
   * @throws TensorTooLargeError before anything is allocated
   */
  static async create(
    device: Device,
    config: Config,
    dims: Dims,
    params: Float64Array | Float32Array,
    sequences: readonly Int32Array[],
  ): Promise<GpuTrainer> {
    const layout = new ParameterLayout(dims, PARAMETER_ALIGNMENT);
    checkTensors(device, [...layout.slices]);
    const table = trainingTable(dims, config.batch_size);
    const tensors: Record<string, Tensor> = await allocateTensors(device, table);
    const stepData = new StepData(config.batch_size * dims.T, dims.V);
    const schedule = await Schedule.create(device, stepList(device, config, layout, tensors));
    const values = new ParameterLayout(dims).convert(params, layout, new Float32Array(layout.size));
    writeTensor(device, tensors.params, values);
    return new GpuTrainer(device, config, layout, sequences, stepData, tensors, schedule);
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
    return { layout: this.layout, values: await readTensor(this.device, this.tensors.grads) };
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

/** Everything that the GPU holds for a training run, but for what is made of the schedule's length. */
export function trainingTable(dims: Dims, B: number): TensorSpec[] {
  const { size } = new ParameterLayout(dims, PARAMETER_ALIGNMENT);
  const flat = { shape: [size], sliced: true };
  return [
    { name: "params", ...flat },
    { name: "grads", ...flat },
    { name: "m", ...flat },
    { name: "v", ...flat },
    { name: "partials", shape: [Math.ceil(size / NORM_CHUNK)] },
    { name: "records", shape: [SLOTS, 2] },
    new StepData(B * dims.T, dims.V).spec,
    ...activationTable(dims, B),
    ...gradientTable(dims, B),
  ];
}

/** The whole step: forward, loss, backward, gradient norm, optimizer. */
export function stepList(
  device: Device,
  config: Config,
  layout: ParameterLayout,
  tensors: Record<string, Tensor>,
): Dispatch[] {
  const { dims } = layout;
  const B = config.batch_size;
  const { grads, params, m, v, partials, records } = tensors;
  const ops = new GpuOps(device);
  const gpt: GpuGpt = { ops, config, dims, B, layout, tensors, params };
  const data = new StepData(B * dims.T, dims.V).slices(tensors.step);
  const { ids, targets, order, starts, step_data } = data;
  const segments = flatSegments(device, params);
  return [
    ...forwardList(gpt, ids),
    ...lossList(gpt, targets, step_data, records),
    ...backwardList(gpt, order, starts, grads),
    ...segments.map((segment) =>
      ops.gradNormPartial(partials, sliceTensor(grads, segment), {
        chunk: NORM_CHUNK,
        first: segment.offset / NORM_CHUNK,
      }),
    ),
    ops.gradNorm(records, partials, step_data),
    ...segments.map((segment) => {
      const part = (tensor: Tensor) => sliceTensor(tensor, segment);
      return ops.adamw(part(params), part(m), part(v), part(grads), records, step_data, config);
    }),
  ];
}

/** A flat tensor in pieces that a binding can hold; nearly always one. */
function flatSegments(device: Device, flat: Tensor) {
  const { maxStorageBufferBindingSize, maxBufferSize } = device.gpu.limits;
  const most =
    Math.floor(Math.min(maxStorageBufferBindingSize, maxBufferSize) / 4 / NORM_CHUNK) * NORM_CHUNK;
  const total = flat.size / 4;
  return Array.from({ length: Math.ceil(total / most) }, (_, i) => {
    const offset = i * most;
    const size = Math.min(most, total - offset);
    return { name: `${flat.name}[${offset}..]`, shape: [size], offset, size };
  });
}
