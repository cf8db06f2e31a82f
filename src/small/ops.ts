// The operations of models that one workgroup trains, as dispatches, and which sizes a device can train so.

import type { Device } from "../device/device.ts";
import type { Dispatch } from "../device/schedule.ts";
import type { Tensor } from "../device/tensors.ts";
import type { Dims } from "../model/parameters.ts";
import { rowLength, SmallLayout } from "./layout.ts";
import { MAX_OPERATIONS, operationCount, smallRows } from "./program.ts";

/** Threads of a workgroup of small_train.wgsl; their product is a power of two. */
interface Threads {
  X: number;
  Y: number;
  Z: number;
}

/** How a device trains small models. */
export interface SmallTuning extends Threads {
  /** Whether parameters live in workgroup memory too. */
  shared: boolean;
  /** Vocabulary that its workgroup memory has room for: the pipeline serves every text that has no larger one. */
  room: number;
  /** Whether the model's widths are numbers in the kernel's text: on hardware, as software GPUs compile that for long. */
  fixed: boolean;
  /** Workgroups that share a batch at most. */
  parts: number;
}

/** The least room that is made for a vocabulary; beyond it doubles. */
const LEAST_ROOM = 32;

function constants(model: Dims, { X, Y, Z, shared, room, fixed }: Omit<SmallTuning, "parts">) {
  const dims = { ...model, V: room };
  const tiles = Math.ceil(dims.T / 4);
  return {
    // A weight's gradient is made four rows at a time: up to three are read behind the last one.
    ACT: Math.max((smallRows(dims).count + 3) * tiles, X * Y * Z),
    W: shared ? new SmallLayout(dims).size : 1,
    IDS: tiles * 4 + 1,
    X,
    Y,
    Z,
    ...(fixed ? { "sizes.C": dims.C, "sizes.HS": dims.C / dims.NH } : {}),
  };
}

/** How a device trains a model in one workgroup; undefined if the model is too large for that. */
export function smallTuning(
  device: Pick<Device, "software" | "lanes" | "gpu">,
  dims: Dims,
): SmallTuning | undefined {
  const { maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup } = device.gpu.limits;
  // Of sizes that are absurd no tables are made.
  if (operationCount(dims) > MAX_OPERATIONS) return undefined;
  if (dims.T * dims.C * 16 > maxComputeWorkgroupStorageSize) return undefined;
  // Software GPUs run a workgroup on one core: threads beyond its lanes cost barriers and bring nothing.
  const threads = device.software
    ? { X: device.lanes, Y: 1, Z: 1, fixed: false, parts: 8 }
    : { X: 16, Y: 4, Z: maxComputeInvocationsPerWorkgroup < 256 ? 2 : 4, fixed: true, parts: 1024 };
  const fits = (tuning: Omit<SmallTuning, "parts">) => {
    const { ACT, W, IDS } = constants(dims, tuning);
    const padded = (elements: number) => Math.ceil(elements / 4) * 16;
    return ACT * 16 + padded(W) + padded(IDS) <= maxComputeWorkgroupStorageSize;
  };
  const tuning = [true, false].map((shared) => ({ ...threads, shared, room: dims.V })).find(fits);
  if (tuning === undefined) return undefined;
  let room = LEAST_ROOM;
  while (room < dims.V) room *= 2;
  while (!fits({ ...tuning, room })) room--;
  return { ...tuning, room };
}

/** What small_train binds, as data.ts and program.ts pack it. */
export type SmallBinding =
  | "params"
  | "moments"
  | "grads"
  | "records"
  | "tokens"
  | "orders"
  | "models"
  | "schedules"
  | "program"
  | "window";

/**
 * Trains `groups` models for a window of steps, or spreads the first one's batch over as many workgroups.
 * @param docs documents in an order
 * @param capacity rows of a schedule
 */
export function smallTrain(
  tensors: Record<SmallBinding, Tensor>,
  dims: Dims,
  sizes: { docs: number; capacity: number; groups: number; spread?: boolean },
  tuning: Omit<SmallTuning, "parts">,
): Dispatch {
  const { params, moments, grads, records, tokens, orders, models, schedules, program, window } =
    tensors;
  const { T, V, C, NH } = dims;
  const { docs, capacity, groups, spread = false } = sizes;
  return {
    op: "small_train",
    kernel: "small_train",
    constants: constants(dims, tuning),
    sizes: {
      P: new SmallLayout(dims).size,
      T,
      V,
      C,
      NH,
      HS: C / NH,
      tiles: Math.ceil(T / 4),
      row: rowLength(C),
      operations: operationCount(dims),
      docs,
      capacity,
      spread: Number(spread),
    },
    bindings: {
      params,
      moments,
      grads,
      records,
      tokens,
      orders,
      models,
      schedules,
      program,
      window,
    },
    grid: [groups, 1, 1],
  };
}

/** What small_sample binds; see there. */
export type SampleBinding = "params" | "tokens" | "logits" | "texts" | "numbers" | "choices";

/**
 * Writes up to `texts` texts with one model. It takes less memory than training it, so that a device that trains it in a
 * workgroup can write with it too.
 */
export function smallSample(
  tensors: Record<SampleBinding, Tensor>,
  dims: Dims,
  { texts, squared, eps }: { texts: number; squared: number; eps: number },
  { X, Y, Z, shared, room, fixed }: Omit<SmallTuning, "parts">,
): Dispatch {
  const { T, V, C, NH, HS, L } = dims;
  const { params, tokens, logits, numbers, choices } = tensors;
  const layout = new SmallLayout(dims);
  const cached = rowLength(2 * C);
  const layers = layout.matrix("layer0.attn_wqkv").first;
  return {
    op: "small_sample",
    kernel: "small_sample",
    constants: {
      ACT: 8 * C + Math.max(NH * T, room),
      CACHE: L * T * cached,
      W: shared ? new SmallLayout({ ...dims, V: room }).size : 1,
      X: X * Y * Z,
      ...(fixed ? { "sizes.C": C, "sizes.HS": HS } : {}),
    },
    sizes: {
      T,
      V,
      C,
      NH,
      HS,
      L,
      P: layout.size,
      row: rowLength(C),
      wide: rowLength(4 * C),
      head: layout.matrix("lm_head").first,
      layers,
      layer: (layout.size - layers) / L,
      cached,
      squared,
      eps,
    },
    bindings: { params, tokens, logits, texts: tensors.texts, numbers, choices },
    grid: [texts, 1, 1],
  };
}
