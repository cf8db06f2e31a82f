// What the CPU's trainer does with a step's gradients: AdamW, SGD or Muon, and the moments that they keep.

import type { Config } from "../config.ts";
import { biasCorrections, learningRate, scheduleFactor } from "../model/optimizer.ts";
import {
  decayOf,
  elementRuns,
  type MomentName,
  momentLayouts,
  type MuonMatrix,
  muonMatrices,
} from "../model/optimizer_state.ts";
import type { ParameterLayout } from "../model/parameters.ts";
import { adamw } from "../reference/ops.ts";
import {
  muonMomentum,
  muonNormalize,
  type MuonScratch,
  muonUpdate,
  orthogonalize,
  sgd,
} from "../reference/optimizers.ts";

export class CpuOptimizer {
  /** Flat, of the parameters that have them. */
  readonly moments: Record<MomentName, Float64Array>;
  private readonly config: Config;
  private readonly runs: ReturnType<typeof elementRuns>;
  private readonly matrices: readonly MuonMatrix[];
  /** Of Muon's matrices, one behind the other: what becomes of them all, before any of them is changed. */
  private readonly updates: Float64Array;
  private readonly scratch: MuonScratch & { m: Float64Array };
  private readonly partials = new Float64Array(1);

  constructor(config: Config, layout: ParameterLayout) {
    this.config = config;
    const layouts = momentLayouts(config, layout.dims);
    this.runs = elementRuns(config, layout, layouts);
    const { m, v } = layouts;
    this.moments = { m: new Float64Array(m.size), v: new Float64Array(v.size) };
    this.matrices = muonMatrices(config, layout);
    const sizes = this.matrices.map(({ size }) => size);
    const short = Math.max(0, ...this.matrices.map(({ n }) => n));
    const values = (size: number) => new Float64Array(size);
    this.updates = values(sizes.reduce((sum, size) => sum + size, 0));
    const [largest, square] = [Math.max(0, ...sizes), short ** 2];
    this.scratch = {
      m: values(largest),
      y: values(largest),
      a: values(square),
      square: values(square),
    };
  }

  /**
   * The `step`-th update (from 0), a moment's work at a time; nothing is changed before the last part.
   * @param clip factor on the gradients
   */
  *update(
    params: Float64Array,
    grads: Float64Array,
    step: number,
    clip: number,
  ): Generator<void, void> {
    const { config, runs, matrices, updates, scratch, partials } = this;
    const { m, v } = this.moments;
    const { muon_momentum: momentum, sgd_momentum } = config;
    let end = 0;
    const places = matrices.map((matrix) => {
      const { rows, columns, offset, size } = matrix;
      const of = (flat: Float64Array) => flat.subarray(offset, offset + size);
      const x = updates.subarray(end, end + size);
      end += size;
      const sizes = { rows, columns, chunk: size, momentum, clip };
      return { matrix, of, x, sizes };
    });
    for (const { matrix, of, x, sizes } of places) {
      const { size } = matrix;
      scratch.m.set(of(m));
      muonMomentum(scratch.m, scratch.y, partials, of(grads), sizes);
      muonNormalize(scratch.y, partials, { size, chunk: size });
      yield* orthogonalize(scratch.y, { ...scratch, y: x }, matrix);
    }

    const lr = learningRate(config, step);
    for (const { rule, weight_decay, offset, size, second } of runs) {
      const of = (flat: Float64Array, first = offset) => flat.subarray(first, first + size);
      const common = { size, lr, weight_decay, clip };
      if (rule === "sgd") {
        sgd(of(params), of(m), of(grads), { ...common, momentum: sgd_momentum });
        continue;
      }
      const { beta1, beta2, epsilon } = config;
      const settings = { ...common, beta1, beta2, epsilon, ...biasCorrections(config, step) };
      adamw(of(params), of(m), of(v, second), of(grads), settings);
    }
    const muon_lr = config.muon_lr * scheduleFactor(config, step);
    for (const { matrix, of, x, sizes } of places) {
      muonMomentum(of(m), scratch.y, partials, of(grads), sizes);
      const weight_decay = decayOf(config, matrix);
      muonUpdate(of(params), x, { ...sizes, lr: muon_lr, weight_decay });
    }
  }
}
