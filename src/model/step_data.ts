// What changes from step to step, packed into one buffer that one write fills: the batch, the learning
// rate and its company, and the positions sorted by token for the embedding's gradient.

import { ALIGNMENT, type Tensor, type TensorSpec, sliceTensor } from "../device/tensors.ts";
import { words } from "../philox.ts";
import type { Batch } from "../text/batches.ts";

/** The uniform `Step` of the kernels, in its order. */
export interface StepScalars {
  /** Place of the step's record (loss, gradient norm). */
  slot: number;
  lr: number;
  correction1: number;
  correction2: number;
  /** 1 / (positions that count). */
  loss_scale: number;
  /** From 1. */
  step: number;
  /** Learning rate of Muon's matrices; 0 where absent. */
  muon_lr?: number;
  /** Which of its step's micro-batches it is, from 0; 0 where absent. */
  micro?: number;
  /** The batch's first row among those of the step, where it is a part of them; 0 where absent. */
  row?: number;
}

/** What a batch of a step is packed with. */
export interface BatchScalars extends Omit<StepScalars, "loss_scale"> {
  /** Positions of the step that count; the batch's where absent. */
  num_targets?: number;
}

/** Numbers that the uniform `Step` takes, its struct's end included. */
export const STEP_FIELDS = 12;

/** Records (loss, gradient norm) that the GPU keeps until they are read. */
export const SLOTS = 512;

/** Fields of the kernels' struct `Scaler`: the scale on the gradients, and what goes with it from step to step. */
export const SCALER_FIELDS = 5;
/** The scale at most: gradients that it still leaves too small for f16 are below Adam's epsilon by far. */
export const LARGEST_SCALE = 2 ** 24;

const ELEMENTS = ALIGNMENT / 4;
const padded = (size: number) => Math.ceil(size / ELEMENTS) * ELEMENTS;

/** The uniform `Step`, at a place in bytes. */
export function packScalars(bytes: ArrayBuffer, scalars: StepScalars, at = 0): void {
  const { slot, lr, correction1, correction2, loss_scale, step } = scalars;
  const { muon_lr = 0, micro = 0, row = 0 } = scalars;
  new Float32Array(bytes, at).set([lr, correction1, correction2, loss_scale, step, muon_lr], 1);
  const integers = new Uint32Array(bytes, at);
  integers[0] = slot;
  integers.set([micro, ...words(step - 1), row], 7);
}

export class StepData {
  private readonly size: number; // elements of the buffer
  private packed: ArrayBuffer | undefined;
  private readonly N: number;
  private readonly V: number;
  private readonly offsets: { ids: number; targets: number; order: number; starts: number };

  /** @param N rows, B·T */
  constructor(N: number, V: number) {
    this.N = N;
    this.V = V;
    const ids = ELEMENTS;
    const targets = ids + padded(N);
    const order = targets + padded(N);
    const starts = order + padded(N);
    this.offsets = { ids, targets, order, starts };
    this.size = starts + padded(V + 1);
  }

  get spec(): TensorSpec & { name: "step" } {
    return { name: "step", shape: [this.size] };
  }

  /** What pack() fills, to be written; made when it is first needed, after the limits are checked. */
  get bytes(): ArrayBuffer {
    return (this.packed ??= new ArrayBuffer(this.size * 4));
  }

  /** The parts of the device's buffer, as kernels bind them. */
  slices(step: Tensor) {
    const { N, V } = this;
    const { ids, targets, order, starts } = this.offsets;
    const part = (name: string, offset: number, size: number) =>
      sliceTensor(step, { name, shape: [size], offset, size });
    return {
      step_data: part("step_data", 0, STEP_FIELDS),
      ids: part("ids", ids, N), // (N)
      targets: part("targets", targets, N), // (N)
      order: part("order", order, N), // (N)
      starts: part("starts", starts, V + 1), // (V + 1)
    };
  }

  /** Fills `bytes` with a batch of N rows and the step's scalars. */
  pack(batch: Batch, { num_targets = batch.num_targets, ...scalars }: BatchScalars): void {
    const { bytes, offsets, N, V } = this;
    packScalars(bytes, { ...scalars, loss_scale: 1 / Math.max(num_targets, 1) });
    new Int32Array(bytes, offsets.ids * 4, N).set(batch.inputs);
    new Int32Array(bytes, offsets.targets * 4, N).set(batch.targets);
    sortByToken(
      new Uint32Array(bytes, offsets.order * 4, N),
      new Uint32Array(bytes, offsets.starts * 4, V + 1),
      batch.inputs,
    );
  }
}

export type StepSlices = ReturnType<StepData["slices"]>;

/**
 * Counting sort: `order` gets the positions of ids (N), token by token, and starts (V + 1) where each
 * token's begin. Positions whose id is outside 0..V-1 are left out.
 */
export function sortByToken(order: Uint32Array, starts: Uint32Array, ids: Int32Array): void {
  const V = starts.length - 1;
  starts.fill(0);
  for (const id of ids) if (id >= 0 && id < V) starts[id + 1]++;
  for (let v = 0; v < V; v++) starts[v + 1] += starts[v];
  const next = starts.slice(0, V);
  ids.forEach((id, n) => {
    if (id >= 0 && id < V) order[next[id]++] = n;
  });
}
