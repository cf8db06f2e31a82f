// Trains a small model on batches: a workgroup for some of the documents, then their gradients' sum and AdamW.

import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import { Schedule } from "../device/schedule.ts";
import {
  ALIGNMENT,
  allocateTensors,
  destroyTensors,
  readTensor,
  writeTensor,
  sizeOf,
  sliceTensor,
  type Tensor,
  type TensorSpec,
} from "../device/tensors.ts";
import { WINDOWS, Windows } from "../device/windows.ts";
import type { TrainerState } from "../files/checkpoint.ts";
import { GpuOps } from "../model/gpu_ops.ts";
import { biasCorrections, learningRate } from "../model/optimizer.ts";
import { adamw } from "../model/optimizer_ops.ts";
import type { Dims } from "../model/parameters.ts";
import { packScalars, SCALER_FIELDS, STEP_FIELDS } from "../model/step_data.ts";
import type { Sequences } from "../text/documents.ts";
import { MODEL_FIELDS, packDocuments, packModel, packSchedule, ROW_FIELDS } from "./data.ts";
import { SmallLayout } from "./layout.ts";
import { type SmallBinding, smallTrain, type SmallTuning } from "./ops.ts";
import { packProgram } from "./program.ts";

/** Steps of a window at most. */
export const SMALL_CAPACITY = 256;
/** Gradients that a workgroup sums over the parts of the batch. */
const SUM_CHUNK = 64;
/** Of what changes from step to step: the uniform `Step` of the general kernels, and a row of a schedule. */
const STEP_BYTES = 2 * ALIGNMENT;

export type BatchTensors = Record<
  | Exclude<SmallBinding, "schedules">
  | "m"
  | "v"
  | "scaler"
  | "shares"
  | "partials"
  | "step"
  | "steps",
  Tensor
>;

export class SmallBatch {
  /** Records are (steps, 2): loss and gradient norm. */
  readonly windows: Windows;
  private readonly device: Device;
  private readonly layout: SmallLayout;
  private readonly tensors: BatchTensors;
  private readonly schedule: Schedule;

  private constructor(
    device: Device,
    layout: SmallLayout,
    tensors: BatchTensors,
    schedule: Schedule,
    windows: Windows,
  ) {
    this.device = device;
    this.layout = layout;
    this.tensors = tensors;
    this.schedule = schedule;
    this.windows = windows;
  }

  /** @param params flat, in the table's order without gaps */
  static async create(
    device: Device,
    config: Config,
    dims: Dims,
    params: Float64Array | Float32Array,
    sequences: Sequences,
    tuning: SmallTuning,
  ): Promise<SmallBatch> {
    const layout = new SmallLayout(dims);
    const { size } = layout;
    const docs = sequences.length;
    const parts = Math.min(config.batch_size, tuning.parts);
    const { tokens, places } = packDocuments(sequences);
    const operations = packProgram(dims);
    const counts = { parts, docs, tokens: tokens.length };
    const tensors: BatchTensors = await allocateTensors(device, smallBatchTable(dims, counts));
    const write = (tensor: Tensor, values: Float32Array | Uint32Array) =>
      device.gpu.queue.writeBuffer(tensor.buffer, 0, values as Uint32Array<ArrayBuffer>);
    write(tensors.params, layout.pack(params, new Float32Array(size)));
    write(tensors.tokens, tokens);
    write(tensors.orders, places);
    write(tensors.models, packModel(config, 0, 0));
    write(tensors.program, operations);
    write(tensors.window, Uint32Array.of(1, 0));
    write(tensors.scaler, Float32Array.of(1, 0, 0)); // no scale, ever
    const schedule = await Schedule.create(
      device,
      smallBatchList(device, config, dims, tensors, { docs, parts, size }, tuning),
    );
    const { step, steps, records } = tensors;
    const windows = new Windows(device, SMALL_CAPACITY, 8, (encoder, first, count, half) => {
      const bytes = packSteps(config, docs, first, count, half * SMALL_CAPACITY);
      device.gpu.queue.writeBuffer(steps.buffer, 0, bytes);
      for (let k = 0; k < count; k++) {
        encoder.copyBufferToBuffer(steps.buffer, k * STEP_BYTES, step.buffer, 0, STEP_BYTES);
        schedule.encode(encoder);
      }
      return { buffer: records.buffer, offset: half * SMALL_CAPACITY * 8 };
    });
    return new SmallBatch(device, layout, tensors, schedule, windows);
  }

  /** The parameters as SmallLayout has them, in place. */
  get params(): Tensor {
    return this.tensors.params;
  }

  /** The parameters, flat in the table's order. */
  async parameters() {
    const { flat } = this.layout;
    const small = await readTensor(this.device, this.tensors.params);
    return { layout: flat, values: this.layout.unpack(small, new Float32Array(flat.size)) };
  }

  /** Adam's two, as parameters() has its values. */
  async moments() {
    const read = async (tensor: Tensor) => {
      const small = await readTensor(this.device, tensor);
      return this.layout.unpack(small, new Float32Array(this.layout.flat.size));
    };
    return { m: await read(this.tensors.m), v: await read(this.tensors.v) };
  }

  restore({ values, m, v }: Pick<TrainerState, "values" | "m" | "v">): void {
    const { device, layout, tensors } = this;
    const write = (tensor: Tensor, flat: TrainerState["values"]) =>
      writeTensor(device, tensor, layout.pack(flat, new Float32Array(layout.size)));
    write(tensors.params, values);
    write(tensors.m, m);
    write(tensors.v, v);
  }

  destroy(): void {
    this.windows.destroy();
    this.schedule.destroy();
    destroyTensors(this.tensors);
  }
}

/** What the GPU holds for so many parts of a batch, documents and tokens. */
export function smallBatchTable(
  dims: Dims,
  { parts, docs, tokens }: { parts: number; docs: number; tokens: number },
) {
  const { size } = new SmallLayout(dims);
  return [
    { name: "params", shape: [size] },
    { name: "grads", shape: [parts, size] },
    { name: "m", shape: [size] },
    { name: "v", shape: [size] },
    { name: "shares", shape: [parts, 2] },
    { name: "partials", shape: [Math.ceil(size / SUM_CHUNK)] },
    { name: "scaler", shape: [SCALER_FIELDS] },
    { name: "records", shape: [WINDOWS, SMALL_CAPACITY, 2] },
    { name: "tokens", shape: [tokens] },
    { name: "orders", shape: [docs, 2] },
    { name: "models", shape: [MODEL_FIELDS] },
    { name: "program", shape: [packProgram(dims).length] },
    { name: "window", shape: [2] },
    { name: "moments", shape: [2] }, // of small_train, which does not touch them here
    { name: "step", shape: [STEP_BYTES / 4] },
    { name: "steps", shape: [SMALL_CAPACITY, STEP_BYTES / 4] },
  ] as const satisfies TensorSpec[];
}

/** A step: gradients of the batch's parts, their sum, the norm, AdamW. */
export function smallBatchList(
  device: Device,
  config: Config,
  dims: Dims,
  t: BatchTensors,
  { docs, parts, size }: { docs: number; parts: number; size: number },
  tuning: SmallTuning,
) {
  const ops = new GpuOps(device);
  const sum = sliceTensor(t.grads, { name: "sum", shape: [size], offset: 0, size });
  const part = (name: string, offset: number, size: number) =>
    sliceTensor(t.step, { name, shape: [size], offset, size });
  const step_data = part("step_data", 0, STEP_FIELDS);
  const schedules = part("schedules", ALIGNMENT / 4, ROW_FIELDS);
  const bindings = { ...t, records: t.shares, schedules };
  const read = { records: t.records, scaler: t.scaler };
  const sizes = { docs, capacity: 1, groups: parts, spread: true };
  return [
    smallTrain(bindings, dims, sizes, tuning),
    ops.gradientSum(t.grads, t.partials, t.scaler, { size, planes: parts, chunk: SUM_CHUNK }),
    ops.stepRecord(t.records, t.scaler, t.shares, t.partials, step_data, {
      N: parts,
      stride: 2,
      chunks: sizeOf(t.partials),
      growth: 0,
      ...config,
    }),
    adamw(device, t.params, t.m, t.v, null, sum, { ...read, step_data }, config),
  ];
}

/** What `count` steps from `first` on read, each as `step` holds it. */
function packSteps(config: Config, docs: number, first: number, count: number, slot: number) {
  const bytes = new ArrayBuffer(count * STEP_BYTES);
  const rows = packSchedule(config, docs, first, count);
  for (let k = 0; k < count; k++) {
    const lr = learningRate(config, first + k);
    const row = rows.subarray(k * ROW_FIELDS, (k + 1) * ROW_FIELDS);
    const scalars = { slot: slot + k, lr, ...biasCorrections(config, first + k), loss_scale: 1 };
    packScalars(bytes, { ...scalars, step: first + k + 1 }, k * STEP_BYTES);
    new Float32Array(bytes, k * STEP_BYTES + ALIGNMENT, ROW_FIELDS).set(row);
  }
  return bytes;
}
