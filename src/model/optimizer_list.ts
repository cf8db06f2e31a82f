// What an optimizer's step takes on the GPU: tensors, and dispatches that turn gradients into other parameters.

import type { Config } from "../config.ts";
import type { Dispatch } from "../device/schedule.ts";
import { sizeOf, sliceTensor, type Tensor, type TensorSpec } from "../device/tensors.ts";
import type { GpuOps } from "./gpu_ops.ts";
import * as ops from "./optimizer_ops.ts";
import {
  decayOf,
  elementRuns,
  momentLayouts,
  momentNames,
  MUON_ITERATIONS,
  type MuonMatrix,
  muonMatrices,
} from "./optimizer_state.ts";
import { PARAMETER_ALIGNMENT, type ParameterLayout } from "./parameters.ts";

type OptimizerConfig = Pick<
  Config,
  | "optimizer"
  | "beta1"
  | "beta2"
  | "epsilon"
  | "muon_momentum"
  | "sgd_momentum"
  | "weight_decay"
  | "grad_clip"
>;

/** The moments that the optimizer keeps, flat in layouts of their own. */
export function momentTable(config: OptimizerConfig, { dims }: ParameterLayout): TensorSpec[] {
  const layouts = momentLayouts(config, dims, PARAMETER_ALIGNMENT);
  return momentNames
    .filter((name) => layouts[name].size > 0)
    .map((name) => ({ name, shape: [layouts[name].size], sliced: true }));
}

/** What lives only while Muon is at one matrix after the other. */
export function muonTable(config: OptimizerConfig, layout: ParameterLayout): TensorSpec[] {
  const matrices = muonMatrices(config, layout);
  if (matrices.length === 0) return [];
  const size = Math.max(...matrices.map((matrix) => matrix.size));
  const short = Math.max(...matrices.map((matrix) => matrix.n));
  return [
    { name: "muon_x", shape: [size] },
    { name: "muon_transposed", shape: [size] },
    { name: "muon_a", shape: [short, short] },
    { name: "muon_square", shape: [short, short] },
    { name: "muon_partials", shape: [Math.ceil(size / ops.MUON_CHUNK)] },
  ];
}

/**
 * @param tensors params, weights where products read f16, records, scaler, and those of the tables above
 * @param grads flat, in the layout's order
 * @param most elements of a flat tensor that a binding holds
 */
export function optimizerList(
  products: GpuOps,
  config: OptimizerConfig,
  layout: ParameterLayout,
  tensors: Record<string, Tensor>,
  grads: Tensor,
  step_data: Tensor,
  most: number,
): Dispatch[] {
  const { device } = products;
  const { params, weights, m, v, records, scaler } = tensors;
  const { grad_clip } = config;
  const step = { records, step_data };
  const layouts = momentLayouts(config, layout.dims, PARAMETER_ALIGNMENT);
  const list: Dispatch[] = [];
  for (const { rule, weight_decay, second, ...run } of elementRuns(config, layout, layouts)) {
    for (let done = 0; done < run.size; done += most) {
      const size = Math.min(most, run.size - done);
      const part = (tensor: Tensor, first = run.offset) =>
        sliceTensor(tensor, { name: tensor.name, shape: [size], offset: first + done, size });
      const copy = weights ? part(weights) : null;
      const common = [part(params), part(m)] as const;
      const decay = { weight_decay, grad_clip };
      if (rule === "adamw") {
        const settings = { ...config, ...decay };
        const adam = { ...step, scaler };
        list.push(ops.adamw(device, ...common, part(v, second), copy, part(grads), adam, settings));
      } else {
        const settings = { momentum: config.sgd_momentum, ...decay };
        list.push(ops.sgd(device, ...common, copy, part(grads), step, settings));
      }
    }
  }
  for (const matrix of muonMatrices(config, layout)) {
    list.push(...muonList(products, config, matrix, tensors, grads, step));
  }
  return list;
}

function muonList(
  products: GpuOps,
  config: OptimizerConfig,
  matrix: MuonMatrix,
  tensors: Record<string, Tensor>,
  grads: Tensor,
  step: { records: Tensor; step_data: Tensor },
): Dispatch[] {
  const { device } = products;
  const { rows, columns, n, k, size } = matrix;
  const { muon_partials: partials } = tensors;
  const scratch = (name: string, shape: number[]) => {
    const size = sizeOf({ shape });
    return sliceTensor(tensors[name], { name, shape, offset: 0, size });
  };
  const [x, transposed] = [scratch("muon_x", [n, k]), scratch("muon_transposed", [k, n])];
  const [a, square] = [scratch("muon_a", [n, n]), scratch("muon_square", [n, n])];
  // k and v follow q without a gap: their own place need not be one where a binding may start.
  const first = matrix.offset % PARAMETER_ALIGNMENT;
  const place = { rows, columns, first };
  const bound = (tensor: Tensor) => {
    const slice = { name: matrix.name, shape: [first + size], size: first + size };
    return sliceTensor(tensor, { ...slice, offset: matrix.offset - first });
  };

  const { muon_momentum: momentum, grad_clip } = config;
  const sizes = { ...place, momentum, grad_clip };
  const list = [
    ops.muonMomentum(device, bound(tensors.m), x, partials, bound(grads), step, sizes),
    ops.muonNormalize(device, x, partials, { size }),
  ];
  for (let i = 0; i < MUON_ITERATIONS; i++) {
    list.push(
      ops.muonTranspose(device, transposed, x, { rows: n, columns: k }),
      products.matmulForward(a, x, x, { N: n, C: k, OC: n }),
      products.matmulForward(square, a, a, { N: n, C: n, OC: n }),
      ops.muonPolynomial(device, a, square, n),
      products.matmulForward(x, a, transposed, { N: n, C: n, OC: k }),
    );
  }
  const { params, weights } = tensors;
  const copy = weights ? bound(weights) : null;
  const update = { ...place, weight_decay: decayOf(config, matrix) };
  list.push(ops.muonUpdate(device, bound(params), copy, x, step, update));
  return list;
}
