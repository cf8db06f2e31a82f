// Training steps of small models in float64, the twin of the kernel that runs many of them in one dispatch.

import type { Relu } from "../choices.ts";
import type { Dims } from "../model/parameters.ts";
import { presets } from "../presets.ts";
import { ReferenceGpt } from "../reference/gpt.ts";
import { adamw, clipFactor, gradientSum, gradNorm, type Values } from "../reference/ops.ts";
import { SQUARED } from "./data.ts";
import { SmallLayout } from "./layout.ts";

interface Sizes {
  /** Documents in an order. */
  docs: number;
  /** Rows of a schedule. */
  capacity: number;
  /** Steps to do. */
  steps: number;
  /** First row of records. */
  slot: number;
  /** Models; or workgroups that share the batch of the first one, if `spread`. */
  groups: number;
  spread: boolean;
}

/** What the documents, the models and their schedules are; see small_train.wgsl. */
interface Inputs {
  tokens: Values;
  orders: Values;
  models: Values;
  schedules: Values;
}

/**
 * Steps of each model on its documents: updates params and moments (models, P), writes the last step's
 * gradients (groups, P) and every step's records (slots, groups, 2). If `spread`, group g takes the
 * documents g, g + groups, … of the first model's batch, and only gradients and losses are written.
 */
export function smallTrain(
  params: Values,
  moments: Values,
  grads: Values,
  records: Values,
  inputs: Inputs,
  dims: Dims,
  sizes: Sizes,
): void {
  const layout = new SmallLayout(dims);
  for (let g = 0; g < sizes.groups; g++) {
    const part = (values: Values, index: number, width = 1) =>
      values.subarray(index * layout.size * width, (index + 1) * layout.size * width);
    const m = sizes.spread ? 0 : g;
    const [lr, beta1, beta2, epsilon, weight_decay, grad_clip, eps, squared, B, order, schedule] =
      inputs.models.subarray(m * 11, m * 11 + 11);
    const mine = part(params, m);
    const flat = layout.unpack(mine, new Float64Array(layout.flat.size));
    const known = Object.keys(SQUARED) as Relu[];
    const activation = known.find((name) => SQUARED[name] === squared)!;
    const gpt = new ReferenceGpt({ ...presets.microgpt, activation, rmsnorm_eps: eps }, dims, flat);
    const size = layout.size;
    for (let k = 0; k < sizes.steps; k++) {
      const row = (schedule * sizes.capacity + k) * 4;
      const [factor, correction1, correction2, first] = inputs.schedules.subarray(row, row + 4);
      if (first < 0) break;
      let num_targets = 0;
      const documents = Array.from({ length: B }, (_, b) => {
        const place = (order * sizes.docs + ((first + b) % sizes.docs)) * 2;
        const [token, n] = inputs.orders.subarray(place, place + 2);
        num_targets += n;
        return Int32Array.from(inputs.tokens.subarray(token, token + n + 1));
      });
      const gradients = part(grads, g).fill(0);
      let loss = 0;
      for (let b = sizes.spread ? g : 0; b < B; b += sizes.spread ? sizes.groups : 1) {
        const T = documents[b].length - 1;
        const batch = {
          B: 1,
          T,
          inputs: documents[b].subarray(0, T),
          targets: documents[b].subarray(1),
          num_targets,
        };
        gpt.forward(batch);
        loss += gpt.loss(batch);
        gpt.backward(batch);
        const packed = layout.pack(gpt.grads, new Float64Array(size));
        packed.forEach((gradient, i) => (gradients[i] += gradient));
      }
      const partials = new Float64Array(1);
      gradientSum(gradients, partials, { size, planes: 1, chunk: size });
      const grad_norm = gradNorm(partials);
      records.set([loss, grad_norm], ((sizes.slot + k) * sizes.groups + g) * 2);
      if (sizes.spread) continue;
      const clip = clipFactor(grad_clip, grad_norm);
      const mv = part(moments, m, 2);
      const mean = mv.filter((_, i) => i % 2 === 0);
      const square = mv.filter((_, i) => i % 2 === 1);
      adamw(mine, mean, square, gradients, {
        size,
        lr: lr * factor,
        beta1,
        beta2,
        epsilon,
        weight_decay,
        correction1,
        correction2,
        clip,
      });
      mean.forEach((value, i) => mv.set([value, square[i]], 2 * i));
      layout.unpack(mine, flat);
    }
  }
}
