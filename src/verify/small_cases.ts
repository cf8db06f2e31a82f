// The cases of models that one workgroup trains: odd shapes, both places for the parameters, batches,
// clipping, several models at once, a run that ends before the dispatch does.

import type { Tensor } from "../device/tensors.ts";
import { type Config, resolveConfig } from "../config.ts";
import { type Dims, dimsOf } from "../model/parameters.ts";
import {
  packDocuments,
  packModel,
  packOrder,
  packSchedule,
  MODEL_FIELDS,
  ROW_FIELDS,
} from "../small/data.ts";
import { SmallLayout } from "../small/layout.ts";
import { smallTrain, type SmallBinding } from "../small/ops.ts";
import { packProgram } from "../small/program.ts";
import * as ref from "../small/reference.ts";
import type { KernelCase, Normal } from "./kernel_case.ts";

const BOUND = 1e-5;
/** Large enough that a gradient's last bits do not decide where its parameter goes. */
const epsilon = 1e-3;

/** Workgroup memory of all cases: kernels are slow to compile, and one serves all of them. */
const MEMORY = { ACT: 640, IDS: 33 };
const PARAMETERS = 1500;

interface SmallCase {
  name: string;
  /** Of the first model; the others differ from it in more than a seed. */
  config: Partial<Config>;
  V: number;
  groups: number;
  shared?: boolean;
  spread?: boolean;
}

const one = { X: 8, Y: 1, Z: 1 };
const many = { X: 4, Y: 2, Z: 2 };

const cases: SmallCase[] = [
  { name: "T 1, C 1, NH 1, V 2", config: { block_size: 1, n_embd: 1, n_head: 1 }, V: 2, groups: 1 },
  { name: "L 1, C 8, NH 2, T 16, V 27", config: { n_embd: 8, n_head: 2 }, V: 27, groups: 3 },
  {
    name: "L 2, C 6, NH 3, T 7, V 33, B 3, relu_squared, clipped, decayed",
    config: {
      n_layer: 2,
      n_embd: 6,
      n_head: 3,
      block_size: 7,
      batch_size: 3,
      activation: "relu_squared",
      grad_clip: 0.3,
      weight_decay: 0.1,
    },
    V: 33,
    groups: 2,
  },
  {
    name: "C 5, NH 5, T 17, V 3",
    config: { n_embd: 5, n_head: 5, block_size: 17 },
    V: 3,
    groups: 1,
  },
  {
    name: "parameters in storage, L 2, C 9, NH 1, T 5, V 65, B 2",
    config: { n_layer: 2, n_embd: 9, n_head: 1, block_size: 5, batch_size: 2 },
    V: 65,
    groups: 2,
    shared: false,
  },
  {
    name: "a batch of 7 over 3 workgroups, C 10, NH 2, T 9, V 11",
    config: { n_embd: 10, n_head: 2, block_size: 9, batch_size: 7 },
    V: 11,
    groups: 3,
    shared: false,
    spread: true,
  },
];

export function smallCases(
  normal: Normal,
  ids: (size: number, V: number) => Int32Array,
): KernelCase[] {
  return cases.flatMap((test) =>
    (test.shared === false ? [one] : [one, many]).map((threads) =>
      smallCase(test, threads, normal, ids),
    ),
  );
}

function smallCase(
  { name, config: overrides, V, groups, shared = true, spread = false }: SmallCase,
  threads: { X: number; Y: number; Z: number },
  normal: Normal,
  ids: (size: number, V: number) => Int32Array,
): KernelCase {
  const base = { num_steps: 4, epsilon, ...overrides };
  const models = spread ? 1 : groups;
  const configs = Array.from({ length: models }, (_, k) =>
    // The second model's run is over before the dispatch is.
    resolveConfig("microgpt", k === 1 ? { ...base, num_steps: 2, learning_rate: 0.03 } : base),
  );
  const dims: Dims = dimsOf(configs[0], V);
  const layout = new SmallLayout(dims);
  const P = layout.size;
  const lengths = [dims.T, 1, Math.ceil(dims.T / 2), Math.max(1, dims.T - 1), Math.min(5, dims.T)];
  const { tokens, places } = packDocuments(lengths.map((n) => ids(n + 1, V)));
  const docs = lengths.length;
  const [steps, slot, capacity] = [3, 2, 5];
  const orders = configs.flatMap((_, k) => [
    ...packOrder(
      places,
      Uint32Array.from(lengths, (_, d) => (d + k) % docs),
    ),
  ]);
  const modelRows = new Float32Array(models * MODEL_FIELDS);
  const schedules = new Float32Array(models * capacity * ROW_FIELDS);
  const params = new Float32Array(models * P);
  configs.forEach((config, k) => {
    modelRows.set(packModel(config, k, k), k * MODEL_FIELDS);
    schedules.set(packSchedule(config, docs, 0, steps), k * capacity * ROW_FIELDS);
    params.set(layout.pack(normal(layout.flat.size, 0.3), new Float32Array(P)), k * P);
  });
  const records = (slot + steps) * groups * 2;
  const sizes = { docs, capacity, groups, spread };
  const unchanged = { allowed: BOUND };
  return {
    kernel: "small_train",
    name: `${name}, ${threads.X * threads.Y * threads.Z} threads`,
    inputs: {
      tokens,
      orders: Uint32Array.from(orders),
      models: modelRows,
      schedules,
      program: packProgram(dims),
      window: Uint32Array.of(steps, slot),
    },
    outputs: {
      params: { size: params.length, initial: params, ...unchanged },
      moments: { size: models * P * 2, initial: new Float32Array(models * P * 2), ...unchanged },
      grads: { size: groups * P, initial: new Float32Array(groups * P), ...unchanged },
      records: { size: records, initial: normal(records), ...unchanged },
    },
    dispatch: (_, tensors) => {
      const tuning = { ...threads, shared, room: V, fixed: false };
      const dispatch = smallTrain(tensors as Record<SmallBinding, Tensor>, dims, sizes, tuning);
      const W = shared ? PARAMETERS : 1;
      return { ...dispatch, constants: { ...dispatch.constants, ...MEMORY, W } };
    },
    reference: ({ params, moments, grads, records }, { values }) => {
      const { tokens, orders, models, schedules } = values;
      const inputs = { tokens, orders, models, schedules };
      ref.smallTrain(params, moments, grads, records, inputs, dims, { ...sizes, steps, slot });
    },
  };
}
