// Adapters and the weights that they are beside as the weights of a model without adapters.

import type { Config } from "../config.ts";
import { adaptersOf, frozenDims, linearNames, scaleOf, targetWeights } from "./adapters.ts";
import { type Dims, ParameterLayout } from "./parameters.ts";

/**
 * A copy of the frozen weights with scale · B·A added to those that have adapters, in float64 and then rounded.
 * @param dims with adapters
 * @param frozen flat, in the order of frozenDims()'s table without gaps
 * @param values of the adapters, flat in the order of `layout`
 */
export function mergeAdapters<A extends Float32Array | Float64Array>(
  config: Pick<Config, "lora_rank" | "lora_alpha">,
  dims: Dims,
  frozen: A,
  { layout, values }: { layout: ParameterLayout; values: Float32Array | Float64Array },
): A {
  const all = new ParameterLayout(frozenDims(dims));
  const merged = frozen.slice() as A;
  const scale = scaleOf(config);
  for (let l = 0; l < dims.L; l++) {
    for (const linear of linearNames) {
      for (const { target } of adaptersOf(dims, linear)?.parts ?? []) {
        const name = `layer${l}.${targetWeights[target]}`;
        const [w, a, b] = [
          all.slice(name),
          layout.slice(`${name}.lora_A`),
          layout.slice(`${name}.lora_B`),
        ];
        const [R, IC] = a.shape as readonly [number, number];
        const row = new Float64Array(IC);
        for (let o = 0; o < b.shape[0]; o++) {
          row.fill(0);
          for (let r = 0; r < R; r++) {
            const factor = scale * values[b.offset + o * R + r];
            const from = a.offset + r * IC;
            for (let c = 0; c < IC; c++) row[c] += factor * values[from + c];
          }
          for (let c = 0, to = w.offset + o * IC; c < IC; c++, to++) merged[to] += row[c];
        }
      }
    }
  }
  return merged;
}
