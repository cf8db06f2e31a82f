// The cases of what follows the gradients: their sum and norm, a step's record, the optimizer.

import * as ref from "../reference/ops.ts";
import { NORM_BOUND } from "./compare.ts";
import type { KernelCase } from "./kernel_case.ts";

type Normal = (size: number, std?: number) => Float32Array;

/** The uniform `Step`, as model/step_data.ts packs it. */
export function stepData(
  slot: number,
  lr = 0,
  correction1 = 0,
  correction2 = 0,
  loss_scale = 0,
): Uint32Array {
  const bytes = new ArrayBuffer(32);
  new Float32Array(bytes).set([lr, correction1, correction2, loss_scale], 1);
  new Uint32Array(bytes)[0] = slot;
  return new Uint32Array(bytes);
}

export function optimizerCases(normal: Normal): KernelCase[] {
  const records = 3;
  const slot = 1;
  const scale = Math.fround(1 / 37);
  const record = (name: string, N: number, stride: number, growth: number, good = 3) => {
    const chunks = N * 3;
    return {
      kernel: "step_record",
      name,
      inputs: {
        losses: normal(N * stride).map(Math.abs),
        partials: normal(chunks).map(Math.abs),
        step_data: stepData(slot, 0, 0, 0, scale),
      },
      outputs: {
        records: { size: records * 2, allowed: NORM_BOUND, initial: normal(records * 2) },
        scaler: { size: 2, allowed: NORM_BOUND, initial: Float32Array.of(1024, good) },
      },
      dispatch: (ops, t) =>
        ops.stepRecord(t.records, t.scaler, t.losses, t.partials, t.step_data, {
          N,
          stride,
          chunks,
          growth,
        }),
      reference: (o, { values: { losses, partials } }) => {
        const mine = o.records.subarray(slot * 2, slot * 2 + 2);
        ref.stepRecord(mine, o.scaler, losses, partials, { N, stride, scale, growth });
      },
    } satisfies KernelCase;
  };
  const recorded = [
    ...[1, 2, 37, 1000].flatMap((N) => [
      record(`N ${N}`, N, 1, 0),
      record(`N ${N}, two apart`, N, 2, 2000),
    ]),
    record("the scale grows", 5, 1, 4),
  ];
  const sum = [1, 7, 300, 5000].flatMap((size) =>
    [1, 2, 5].map((planes): KernelCase => {
      const chunk = 64;
      const scale = planes === 5 ? 1 : 2 ** 12 / planes;
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
  const adam = [
    adamwCase(normal, "size 1", 1, {}),
    adamwCase(normal, "size 1000", 1000, {}),
    adamwCase(normal, "size 70001, weight decay", 70001, { weight_decay: 0.1 }),
    adamwCase(normal, "clipped", 129, { grad_clip: 0.5 }),
    adamwCase(normal, "norm below the clip", 129, { grad_clip: 5 }),
    adamwCase(normal, "with a copy of the weights", 1001, { copied: true }),
    adamwCase(normal, "gradients of zero", 65, { grads: new Float32Array(65) }),
  ];
  return [...recorded, ...sum, ...adam];
}

function adamwCase(
  normal: Normal,
  name: string,
  size: number,
  options: { weight_decay?: number; grad_clip?: number; grads?: Float32Array; copied?: boolean },
): KernelCase {
  const { weight_decay = 0, grad_clip = 0, grads = normal(size), copied } = options;
  const grad_norm = 2;
  const [lr, correction1, correction2] = [0.01, 1 / (1 - 0.85 ** 3), 1 / (1 - 0.99 ** 3)];
  const settings = { beta1: 0.85, beta2: 0.99, epsilon: 1e-8, weight_decay };
  const out = { size, allowed: NORM_BOUND };
  return {
    kernel: "adamw",
    name,
    inputs: {
      grads,
      records: Float32Array.from([0, 0, 0, grad_norm]),
      step_data: stepData(1, lr, correction1, correction2),
    },
    outputs: {
      params: { ...out, initial: normal(size) },
      m: { ...out, initial: normal(size) },
      v: { ...out, initial: normal(size).map(Math.abs) },
      ...(copied && { weights: out }),
    },
    half: copied ? [["weights"]] : [],
    dispatch: (ops, { params, m, v, weights = null, ...t }) =>
      ops.adamw(params, m, v, weights, t.grads, t.records, t.step_data, { ...settings, grad_clip }),
    reference: (o, { values }) => {
      ref.adamw(o.params, o.m, o.v, values.grads, {
        ...settings,
        size,
        lr,
        correction1,
        correction2,
        clip: grad_clip > 0 && grad_norm > grad_clip ? grad_clip / grad_norm : 1,
      });
      o.weights?.set(o.params);
    },
  };
}
