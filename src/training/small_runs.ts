// Trains many small models at once, one workgroup each: a window of steps is one dispatch.

import type { Device } from "../device/device.ts";
import { ReadbackRing } from "../device/ring.ts";
import { Schedule } from "../device/schedule.ts";
import {
  allocateTensors,
  destroyTensors,
  sliceTensor,
  readTensor,
  type Tensor,
} from "../device/tensors.ts";
import type { Dims, ParameterLayout } from "../model/parameters.ts";
import {
  MODEL_FIELDS,
  packDocuments,
  packModel,
  packOrder,
  packSchedule,
  ROW_FIELDS,
  scheduleKey,
  type SmallRun,
} from "../model/small_data.ts";
import { SmallLayout } from "../model/small_layout.ts";
import { Pace } from "./pace.ts";
import { smallTrain, type SmallTensors, type SmallTuning } from "../model/small_ops.ts";
import { packProgram } from "../model/small_program.ts";

/** Windows of steps whose records may be on their way at once. */
const WINDOWS = 2;
/** Steps of a window at most, and records of one: a window takes a fraction of a second at most. */
const MAX_STEPS = 4096;
const MAX_RECORDS = 2 ** 18;

/** The steps of a window, confirmed. */
export interface SmallWindow {
  /** Step before the first, from 0. */
  first: number;
  steps: number;
  /** (steps, models, 2): loss and gradient norm; what was there before where a model has no such step. */
  records: Float32Array;
}

interface Flight {
  first: number;
  steps: number;
  /** Starts the read of its records. */
  read: () => Promise<ArrayBuffer>;
}

export class SmallRuns {
  /** Steps that are confirmed. */
  step = 0;
  /** Steps that were handed to the device. */
  submitted = 0;
  private slot = 0; // 0 or 1: the half of the records that comes next
  private readonly flights: Flight[] = [];

  private readonly device: Device;
  private readonly layout: SmallLayout;
  private readonly models: number;
  private readonly docs: number;
  private readonly capacity: number;
  private readonly schedules: readonly SmallRun["config"][];
  private readonly tensors: SmallTensors;
  private readonly program: Schedule;
  private readonly ring: ReadbackRing;
  private readonly pace: Pace;

  private constructor(
    device: Device,
    layout: SmallLayout,
    { models, docs, capacity }: { models: number; docs: number; capacity: number },
    schedules: readonly SmallRun["config"][],
    tensors: SmallTensors,
    program: Schedule,
  ) {
    this.device = device;
    this.layout = layout;
    this.models = models;
    this.docs = docs;
    this.capacity = capacity;
    this.schedules = schedules;
    this.tensors = tensors;
    this.program = program;
    this.pace = new Pace(capacity);
    this.ring = new ReadbackRing(device, capacity * models * 8, WINDOWS);
  }

  /** @param runs models of the same shape */
  static async create(
    device: Device,
    dims: Dims,
    tuning: SmallTuning,
    sequences: readonly Int32Array[],
    runs: readonly SmallRun[],
  ): Promise<SmallRuns> {
    const layout = new SmallLayout(dims);
    const models = runs.length;
    const docs = sequences.length;
    const orders = [...new Set(runs.map(({ order }) => order))];
    const schedules = new Map(runs.map(({ config }) => [scheduleKey(config), config]));
    const keys = [...schedules.keys()];
    const capacity = Math.max(1, Math.min(MAX_STEPS, Math.floor(MAX_RECORDS / models)));
    const { tokens, places } = packDocuments(sequences);
    const words = packProgram(dims);
    const tensors = await allocateTensors(device, [
      { name: "params", shape: [models, layout.size] },
      { name: "moments", shape: [models, layout.size, 2] },
      { name: "grads", shape: [models, layout.size] },
      { name: "records", shape: [WINDOWS, capacity, models, 2] },
      { name: "tokens", shape: [tokens.length] },
      { name: "orders", shape: [orders.length, docs, 2] },
      { name: "models", shape: [models, MODEL_FIELDS] },
      { name: "schedules", shape: [keys.length, capacity, ROW_FIELDS] },
      { name: "program", shape: [words.length] },
      { name: "window", shape: [2] },
    ]);
    const write = (tensor: Tensor, at: number, values: Float32Array | Uint32Array) =>
      device.gpu.queue.writeBuffer(tensor.buffer, at * 4, values as Uint32Array<ArrayBuffer>);
    write(tensors.tokens, 0, tokens);
    write(tensors.program, 0, words);
    orders.forEach((order, k) => write(tensors.orders, k * docs * 2, packOrder(places, order)));
    const packed = new Float32Array(layout.size);
    runs.forEach(({ config, params, order }, m) => {
      write(tensors.params, m * layout.size, layout.pack(params, packed));
      const model = packModel(config, orders.indexOf(order), keys.indexOf(scheduleKey(config)));
      write(tensors.models, m * MODEL_FIELDS, model);
    });
    const sizes = { docs, capacity, groups: models };
    const program = await Schedule.create(device, [smallTrain(tensors, dims, sizes, tuning)]);
    const table = [...schedules.values()];
    return new SmallRuns(device, layout, { models, docs, capacity }, table, tensors, program);
  }

  /**
   * Trains until `until` steps are done and yields them, window by window. Not pulling pauses. Once
   * `signal` is aborted no further step is begun, and those in flight are still yielded.
   * @throws GpuError if the device fails; no step after the failure is counted
   */
  async *run(until: number, signal?: AbortSignal): AsyncGenerator<SmallWindow> {
    this.pace.start();
    for (;;) {
      while (this.flights.length < WINDOWS && this.submitted < until && !signal?.aborted) {
        this.submit(until);
      }
      if (this.flights.length === 0) return;
      yield await this.confirm();
    }
  }

  private submit(until: number): void {
    const { device, tensors, models, capacity, docs } = this;
    const { gpu } = device;
    const first = this.submitted;
    const steps = Math.min(this.pace.windowSize, until - first, capacity);
    const slot = this.slot * capacity;
    this.slot = 1 - this.slot;
    gpu.queue.writeBuffer(tensors.window.buffer, 0, Uint32Array.of(steps, slot));
    this.schedules.forEach((config, k) => {
      const rows = packSchedule(config, docs, first, steps) as Float32Array<ArrayBuffer>;
      gpu.queue.writeBuffer(tensors.schedules.buffer, k * capacity * ROW_FIELDS * 4, rows);
    });
    const encoder = gpu.createCommandEncoder();
    this.program.encode(encoder);
    const { buffer } = tensors.records;
    const read = this.ring.copy(encoder, buffer, slot * models * 8, steps * models * 8);
    gpu.queue.submit([encoder.finish()]);
    this.submitted += steps;
    this.flights.push({ first, steps, read });
  }

  /** Waits for the oldest window's records; only now do its steps count. */
  private async confirm(): Promise<SmallWindow> {
    const { first, steps, read } = this.flights[0];
    await this.pace.sleep(steps);
    const records = new Float32Array(await read());
    this.flights.shift();
    this.step += steps;
    this.pace.done(steps);
    return { first, steps, records };
  }

  /** Waits for what is in flight, and gives what run() will not. */
  async settle(): Promise<SmallWindow[]> {
    const windows: SmallWindow[] = [];
    while (this.flights.length > 0) windows.push(await this.confirm());
    return windows;
  }

  /** The parameters of one model, flat in the table's order. */
  async parameters(model: number): Promise<{ layout: ParameterLayout; values: Float32Array }> {
    const { size } = this.layout;
    const slice = { name: "model", shape: [size], offset: model * size, size };
    const small = await readTensor(this.device, sliceTensor(this.tensors.params, slice));
    const { flat } = this.layout;
    return { layout: flat, values: this.layout.unpack(small, new Float32Array(flat.size)) };
  }

  destroy(): void {
    this.program.destroy();
    this.ring.destroy();
    destroyTensors({ ...this.tensors });
  }
}
