// Training steps and texts of small models in float64, the twins of the kernels that make many in one dispatch.

import type { Relu } from "../choices.ts";
import { finish } from "../finish.ts";
import type { ForwardConfig } from "../model/forward_config.ts";
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

/**
 * Texts of one model: what small_sample.wgsl writes to tokens (texts, T + 1) and logits (texts, T, V).
 * @param params (P) as SmallLayout has them
 */
export function smallSample(
  tokens: Values,
  logits: Values,
  { params, ...inputs }: Record<"params" | "texts" | "numbers" | "choices", Values>,
  config: ForwardConfig,
  dims: Dims,
): void {
  const { T, V } = dims;
  const layout = new SmallLayout(dims);
  const flat = layout.unpack(params, new Float64Array(layout.flat.size));
  const gpt = new ReferenceGpt(config, dims, flat);
  for (let slot = 0; slot < inputs.texts.length / 4; slot++) {
    const [given, first, end, temperature] = inputs.texts.subarray(4 * slot, 4 * slot + 4);
    const text = tokens.subarray(slot * (T + 1), (slot + 1) * (T + 1));
    const choices = inputs.choices.subarray(slot * V * 2, (slot + 1) * V * 2);
    const past = gpt.past();
    for (let t = 0; t < end; t++) {
      const input = { B: 1, T: 1, inputs: Int32Array.of(text[t]) };
      const row = finish(gpt.forwardInParts(input, undefined, past));
      if (t >= first) logits.set(row, (slot * T + t) * V);
      if (t + 1 < given) continue;
      const scores = row.map((logit, v) => logit + choices[2 * v]);
      const drawn = drawOne(scores, temperature, inputs.numbers[slot * T + t]);
      text[t + 1] = drawn;
      if (choices[2 * drawn + 1] !== 0) break;
    }
  }
}

/** What a number from 0 to 1 draws from softmax(scores / temperature); above all sums, the last token that may come. */
function drawOne(scores: Float64Array, temperature: number, number: number): number {
  const largest = scores.reduce((a, b) => Math.max(a, b));
  const likeliest = scores.indexOf(largest);
  if (temperature === 0) return likeliest;
  const e = scores.map((score) => Math.exp((score - largest) / temperature));
  const point = number * e.reduce((a, b) => a + b);
  let sum = 0;
  const drawn = e.findIndex((share) => (sum += share) > point);
  return drawn >= 0 ? drawn : e.findLastIndex((share) => share > 0);
}
