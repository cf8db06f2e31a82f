// The cases of what follows the gradients: their sum and norm, a step's record, the optimizer.

import { adamw } from "../model/optimizer_ops.ts";
import { packScalars, STEP_FIELDS, type StepScalars } from "../model/step_data.ts";
import * as ref from "../reference/ops.ts";
import { NORM_BOUND } from "./compare.ts";
import type { KernelCase, Normal } from "./kernel_case.ts";

/** The uniform `Step`; of what it holds what is given, the others 0. */
export function stepData(scalars: Partial<StepScalars>): Uint32Array {
  const bytes = new ArrayBuffer(STEP_FIELDS * 4);
  const none = { slot: 0, lr: 0, correction1: 0, correction2: 0, loss_scale: 0, step: 1 };
  packScalars(bytes, { ...none, ...scalars });
  return new Uint32Array(bytes);
}

export function optimizerCases(normal: Normal): KernelCase[] {
  const adam = [
    adamwCase(normal, "size 1", 1, {}),
    adamwCase(normal, "size 1000", 1000, {}),
    adamwCase(normal, "size 70001, weight decay", 70001, { weight_decay: 0.1 }),
    adamwCase(normal, "clipped", 129, { grad_clip: 0.5 }),
    adamwCase(normal, "norm below the clip", 129, { grad_clip: 5 }),
    adamwCase(normal, "with a copy of the weights", 1001, { copied: true }),
    adamwCase(normal, "gradients of zero", 65, { grads: new Float32Array(65) }),
    adamwCase(normal, "gradients of infinity", 65, { copied: true, grad_norm: Infinity }),
    adamwCase(normal, "gradients that are no numbers", 65, { grad_norm: NaN }),
  ];
  return [...recordCases(normal), ...sumCases(normal), ...adam];
}

function sumCases(normal: Normal): KernelCase[] {
  return [1, 7, 320, 5000].flatMap((size) =>
    [1, 2, 5].map((planes): KernelCase => {
      const chunk = 64;
      const scale = planes === 2 ? 1 : 2 ** 12;
      const parts = normal(planes * size);
      // The only sum there is must not be what is left of numbers that cancel.
      const initial = size === 1 ? parts.map(Math.abs) : parts;
      return {
        kernel: "gradient_sum",
        name: `size ${size}, planes ${planes}, scale ${scale}`,
        inputs: { scaler: Float32Array.of(scale, 3) },
        outputs: {
          grads: { size: planes * size, allowed: NORM_BOUND, initial },
          partials: { size: Math.ceil(size / chunk), allowed: NORM_BOUND },
        },
        dispatch: (ops, t) =>
          ops.gradientSum(t.grads, t.partials, t.scaler, { size, planes, chunk }),
        reference: (o) => ref.gradientSum(o.grads, o.partials, { size, planes, chunk, scale }),
      };
    }),
  );
}

interface RecordCase {
  N: number;
  stride?: number;
  growth?: number;
  /** Scale on the gradients, steps since it was changed, steps that were skipped. */
  scaler?: [number, number, number];
  step?: number;
  betas?: [number, number];
  /** In the place of one of the partials. */
  partial?: number;
}

function recordCase(
  normal: Normal,
  name: string,
  { N, stride = 1, growth = 0, scaler = [1024, 3, 0], ...options }: RecordCase,
): KernelCase {
  const { step = 7, betas: [beta1, beta2] = [0.85, 0.99], partial } = options;
  const slot = 1;
  const records = 3;
  const scale = Math.fround(1 / 37);
  const largest = 4096;
  const chunks = N * 3;
  const [correction1, correction2] = [1 / (1 - beta1 ** step), 1 / (1 - beta2 ** step)];
  const partials = normal(chunks).map(Math.abs);
  if (partial !== undefined) partials[chunks >> 1] = partial;
  const initial = Float32Array.of(...scaler, 5, 6); // the corrections are not those of the step before
  return {
    kernel: "step_record",
    name,
    inputs: {
      losses: normal(N * stride).map(Math.abs),
      partials,
      step_data: stepData({ slot, correction1, correction2, loss_scale: scale, step }),
    },
    outputs: {
      records: { size: records * 2, allowed: NORM_BOUND, initial: normal(records * 2) },
      scaler: { size: initial.length, allowed: NORM_BOUND, initial },
    },
    dispatch: (ops, t) =>
      ops.stepRecord(t.records, t.scaler, t.losses, t.partials, t.step_data, {
        N,
        stride,
        chunks,
        growth,
        largest,
        beta1,
        beta2,
      }),
    reference: (o, { values: { losses, partials } }) => {
      const mine = o.records.subarray(slot * 2, slot * 2 + 2);
      const sizes = { N, stride, scale, growth, largest, step, beta1, beta2 };
      ref.stepRecord(mine, o.scaler, losses, partials, sizes);
    },
  };
}

function recordCases(normal: Normal): KernelCase[] {
  const sums = [1, 2, 37, 1000].flatMap((N): [string, RecordCase][] => [
    [`N ${N}`, { N }],
    [`N ${N}, two apart`, { N, stride: 2, growth: 2000 }],
  ]);
  const N = 5;
  const growth = 4;
  const scalers: [string, RecordCase][] = [
    ["the scale grows", { N, growth, scaler: [1024, 3, 0] }],
    ["the scale stays, a step too early", { N, growth, scaler: [1024, 2, 0] }],
    ["the largest scale stays", { N, growth, scaler: [4096, 3, 0] }],
    ["a scale beyond the largest", { N, growth, scaler: [2 ** 30, 1, 0] }],
    ["gradients of infinity halve the scale", { N, growth, scaler: [8, 3, 2], partial: Infinity }],
    ["gradients that are no numbers", { N, growth, scaler: [8, 1, 0], partial: NaN }],
    ["the smallest scale stays", { N, growth, scaler: [1, 2, 0], partial: Infinity, step: 1 }],
    ["gradients of infinity without a scale", { N, scaler: [1, 0, 0], partial: Infinity }],
    ["1 update after 16 skipped", { ...skipped(16, 17, [0.9, 0.999]) }],
    ["18 updates after 2 skipped", { ...skipped(2, 20, [0.85, 0.99]) }],
    ["6 updates after 2 skipped", { ...skipped(2, 8, [0.85, 0.86]) }],
    ["3 updates after 1 skipped, beta1 0", { ...skipped(1, 4, [0, 0.85]) }],
    ["99,999 updates after 1 skipped", { ...skipped(1, 100_000, [0.9, 0.99995]) }],
  ];
  return [...sums, ...scalers].map(([name, test]) => recordCase(normal, name, test));
}

/** The scale is small, so that the corrections have their share of the error. */
function skipped(count: number, step: number, betas: [number, number]): RecordCase {
  return { N: 5, growth: 2000, scaler: [1, 0, count], step, betas };
}

function adamwCase(
  normal: Normal,
  name: string,
  size: number,
  options: {
    weight_decay?: number;
    grad_clip?: number;
    grads?: Float32Array;
    copied?: boolean;
    grad_norm?: number;
  },
): KernelCase {
  const { weight_decay = 0, grad_clip = 0, grads = normal(size), copied, grad_norm = 2 } = options;
  const [lr, correction1, correction2] = [0.5, 1 / (1 - 0.85 ** 3), 1 / (1 - 0.99 ** 3)];
  const settings = { beta1: 0.85, beta2: 0.99, epsilon: 1e-3, weight_decay };
  const out = { size, allowed: NORM_BOUND };
  return {
    kernel: "adamw",
    name,
    inputs: {
      grads,
      records: Float32Array.from([0, 0, 0, grad_norm]),
      scaler: Float32Array.of(8, 1, 2, correction1, correction2),
      step_data: stepData({ slot: 1, lr }),
    },
    outputs: {
      params: { ...out, initial: normal(size) },
      m: { ...out, initial: normal(size) },
      v: { ...out, initial: normal(size).map(Math.abs) },
      ...(copied && { weights: { ...out, initial: normal(size) } }),
    },
    half: copied ? [["weights"]] : [],
    dispatch: ({ device }, { params, m, v, weights = null, grads, ...step }) => {
      const { records, scaler, step_data } = step;
      const read = { records, scaler, step_data };
      return adamw(device, params, m, v, weights, grads, read, { ...settings, grad_clip });
    },
    reference: (o, { values }) => {
      if (!Number.isFinite(grad_norm)) return;
      ref.adamw(o.params, o.m, o.v, values.grads, {
        ...settings,
        size,
        lr,
        correction1,
        correction2,
        clip: ref.clipFactor(grad_clip, grad_norm),
      });
      o.weights?.set(o.params);
    },
  };
}
