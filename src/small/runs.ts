// Trains small models, one workgroup each: a window of steps is one dispatch.

import type { Device } from "../device/device.ts";
import { Schedule } from "../device/schedule.ts";
import {
  allocateTensors,
  destroyTensors,
  readTensor,
  sliceTensor,
  type Tensor,
  type TensorSpec,
  writeTensor,
} from "../device/tensors.ts";
import { WINDOWS, Windows } from "../device/windows.ts";
import type { TrainerState } from "../files/checkpoint.ts";
import type { Dims } from "../model/parameters.ts";
import type { Sequences } from "../text/documents.ts";
import {
  MODEL_FIELDS,
  packDocuments,
  packModel,
  packOrder,
  packSchedule,
  ROW_FIELDS,
  scheduleKey,
  type SmallRun,
} from "./data.ts";
import { SmallLayout } from "./layout.ts";
import { smallTrain, type SmallTuning } from "./ops.ts";
import { packProgram } from "./program.ts";

/** Steps of a window at most, and records of one: more than a window has time for. */
const MAX_STEPS = 4096;
const MAX_RECORDS = 2 ** 18;

/** Steps of a window at most. */
export function smallCapacity(groups: number): number {
  return Math.max(1, Math.min(MAX_STEPS, Math.floor(MAX_RECORDS / groups)));
}

/** What the GPU holds for so many models, documents, tokens, orders of documents and schedules. */
export function smallRunsTable(
  dims: Dims,
  n: { groups: number; docs: number; tokens: number; orders: number; schedules: number },
) {
  const { size } = new SmallLayout(dims);
  const capacity = smallCapacity(n.groups);
  return [
    { name: "params", shape: [n.groups, size] },
    { name: "moments", shape: [n.groups, size, 2] },
    { name: "grads", shape: [n.groups, size] },
    { name: "records", shape: [WINDOWS, capacity, n.groups, 2] },
    { name: "tokens", shape: [n.tokens] },
    { name: "orders", shape: [n.orders, n.docs, 2] },
    { name: "models", shape: [n.groups, MODEL_FIELDS] },
    { name: "schedules", shape: [n.schedules, capacity, ROW_FIELDS] },
    { name: "program", shape: [packProgram(dims).length] },
    { name: "window", shape: [2] },
  ] as const satisfies TensorSpec[];
}

export class SmallRuns {
  /** Records are (steps, models, 2): loss and gradient norm; anything where a model has no such step. */
  readonly windows: Windows;
  private readonly device: Device;
  private readonly layout: SmallLayout;
  private readonly tensors: Record<string, Tensor>;
  private readonly program: Schedule;

  private constructor(
    device: Device,
    layout: SmallLayout,
    tensors: Record<string, Tensor>,
    program: Schedule,
    windows: Windows,
  ) {
    this.device = device;
    this.layout = layout;
    this.tensors = tensors;
    this.program = program;
    this.windows = windows;
  }

  /**
   * @param runs models of the same shape
   * @param docs documents of each order that are trained on, the first ones; all where absent
   */
  static async create(
    device: Device,
    dims: Dims,
    tuning: SmallTuning,
    sequences: Sequences,
    runs: readonly SmallRun[],
    docs = sequences.length,
  ): Promise<SmallRuns> {
    const layout = new SmallLayout(dims);
    const groups = runs.length;
    const orders = [...new Set(runs.map(({ order }) => order))];
    const schedules = new Map(runs.map(({ config }) => [scheduleKey(config), config]));
    const keys = [...schedules.keys()];
    const capacity = smallCapacity(groups);
    const { tokens, places } = packDocuments(sequences);
    const operations = packProgram(dims);
    const counts = { groups, docs, tokens: tokens.length, orders: orders.length };
    const tensors = await allocateTensors(
      device,
      smallRunsTable(dims, { ...counts, schedules: keys.length }),
    );
    const write = (tensor: Tensor, at: number, values: Float32Array | Uint32Array) =>
      device.gpu.queue.writeBuffer(tensor.buffer, at * 4, values as Uint32Array<ArrayBuffer>);
    write(tensors.tokens, 0, tokens);
    write(tensors.program, 0, operations);
    orders.forEach((order, k) => {
      write(tensors.orders, k * docs * 2, packOrder(places, order).subarray(0, docs * 2));
    });
    const packed = new Float32Array(layout.size);
    runs.forEach(({ config, params, order }, m) => {
      write(tensors.params, m * layout.size, layout.pack(params, packed));
      const model = packModel(config, orders.indexOf(order), keys.indexOf(scheduleKey(config)));
      write(tensors.models, m * MODEL_FIELDS, model);
    });
    const sizes = { docs, capacity, groups };
    const program = await Schedule.create(device, [smallTrain(tensors, dims, sizes, tuning)]);
    const table = [...schedules.values()];
    const windows = new Windows(device, capacity, groups * 8, (encoder, first, steps, half) => {
      write(tensors.window, 0, Uint32Array.of(steps, half * capacity));
      table.forEach((config, k) => {
        write(
          tensors.schedules,
          k * capacity * ROW_FIELDS,
          packSchedule(config, docs, first, steps),
        );
      });
      program.encode(encoder);
      return { buffer: tensors.records.buffer, offset: half * capacity * groups * 8 };
    });
    return new SmallRuns(device, layout, tensors, program, windows);
  }

  /** The parameters as SmallLayout has them, in place: of several models the first one's begin there. */
  get params(): Tensor {
    return this.tensors.params;
  }

  /** The parameters of one model, flat in the table's order. */
  async parameters(model = 0) {
    const { device, tensors, layout } = this;
    const { size, flat } = layout;
    const slice = { name: "model", shape: [size], offset: model * size, size };
    const small = await readTensor(device, sliceTensor(tensors.params, slice));
    return { layout: flat, values: layout.unpack(small, new Float32Array(flat.size)) };
  }

  /** Adam's two of the first model, as parameters() has its values. */
  async moments() {
    const { device, tensors, layout } = this;
    const size = 2 * layout.size;
    const slice = { name: "model", shape: [layout.size, 2], offset: 0, size };
    const pairs = await readTensor(device, sliceTensor(tensors.moments, slice));
    const [m, v] = [0, 1].map((k) => {
      const small = pairs.filter((_, i) => i % 2 === k);
      return layout.unpack(small, new Float32Array(layout.flat.size));
    });
    return { m, v };
  }

  /** Gives the first model its parameters and moments. */
  restore({ values, m, v }: Pick<TrainerState, "values" | "m" | "v">): void {
    const { device, tensors, layout } = this;
    const [params, mean, square] = [values, m, v].map((flat) =>
      layout.pack(flat, new Float32Array(layout.size)),
    );
    const pairs = Float32Array.from({ length: 2 * layout.size }, (_, i) =>
      i % 2 === 0 ? mean[i / 2] : square[(i - 1) / 2],
    );
    writeTensor(device, tensors.params, params);
    writeTensor(device, tensors.moments, pairs);
  }

  destroy(): void {
    this.windows.destroy();
    this.program.destroy();
    destroyTensors(this.tensors);
  }
}
