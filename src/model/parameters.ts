// The one table of the model's parameters: names, shapes, order. Buffers, files, counts and tests come from it.
//
// Letters used everywhere: B batch, T time (block_size), C channels (n_embd), V vocabulary, L layers,
// NH heads, HS head size (C / NH), N rows (B·T), OC output channels of a product.

import type { Config, ConfigChoice } from "../config.ts";
import { checkBuilt } from "../config/unbuilt.ts";
import type { PythonRandom } from "../random.ts";

/** The sizes of a model. */
export interface Dims {
  V: number;
  T: number;
  C: number;
  NH: number;
  L: number;
}

type Sizes = Pick<Config, "block_size" | "n_embd" | "n_head" | "n_layer">;

/** @throws ConfigError if no engine can train such a model yet */
export function dimsOf(config: Sizes & Partial<ConfigChoice>, vocab_size: number): Dims {
  checkBuilt(config);
  const { block_size, n_embd, n_head, n_layer } = config;
  return { V: vocab_size, T: block_size, C: n_embd, NH: n_head, L: n_layer };
}

interface ParameterInfo {
  name: string;
  /** (rows, columns); a product's weight is (out, in). */
  shape: [number, number];
}

/** Every parameter in the order of initialisation and of microgpt's flat list. */
function parameterTable({ V, T, C, L }: Dims): ParameterInfo[] {
  const table: ParameterInfo[] = [
    { name: "wte", shape: [V, C] },
    { name: "wpe", shape: [T, C] },
    { name: "lm_head", shape: [V, C] },
  ];
  for (let l = 0; l < L; l++) {
    table.push(
      { name: `layer${l}.attn_wq`, shape: [C, C] },
      { name: `layer${l}.attn_wk`, shape: [C, C] },
      { name: `layer${l}.attn_wv`, shape: [C, C] },
      { name: `layer${l}.attn_wo`, shape: [C, C] },
      { name: `layer${l}.mlp_fc1`, shape: [4 * C, C] },
      { name: `layer${l}.mlp_fc2`, shape: [C, 4 * C] },
    );
  }
  return table;
}

export function parameterCount({ V, T, C, L }: Dims): number {
  return (2 * V + T) * C + 12 * L * C * C;
}

/** Where a tensor lies in a flat array, in elements. */
export interface Slice {
  name: string;
  shape: [number, number];
  offset: number;
  size: number;
}

/** Elements at whose multiples a tensor starts on the GPU: 256 bytes of f16, as WebGPU wants of a binding. */
export const PARAMETER_ALIGNMENT = 128;

/** All parameters (or their gradients, or a moment of Adam) in one flat array. */
export class ParameterLayout {
  readonly dims: Dims;
  /** In the order of parameterTable(). */
  readonly slices: readonly Slice[];
  /** Elements of the flat array. */
  readonly size: number;
  private readonly byName: Map<string, Slice>;

  /**
   * @param align elements at whose multiples a tensor may start. attn_wk and attn_wv always follow attn_wq without a gap: q, k and v are one product with a (3C, C) weight.
   */
  constructor(dims: Dims, align = 1) {
    this.dims = dims;
    let end = 0;
    this.slices = parameterTable(dims).map(({ name, shape }) => {
      const follows = name.endsWith("attn_wk") || name.endsWith("attn_wv");
      const offset = follows ? end : Math.ceil(end / align) * align;
      const size = shape[0] * shape[1];
      end = offset + size;
      return { name, shape, offset, size };
    });
    this.size = Math.ceil(end / align) * align;
    this.byName = new Map(this.slices.map((slice) => [slice.name, slice]));
    for (let l = 0; l < dims.L; l++) {
      const { C } = dims;
      const { offset } = this.slice(`layer${l}.attn_wq`);
      const name = `layer${l}.attn_wqkv`;
      this.byName.set(name, { name, shape: [3 * C, C], offset, size: 3 * C * C });
    }
  }

  /** A tensor of the table, or `layer<l>.attn_wqkv`, the (3C, C) view of a layer's q, k and v. */
  slice(name: string): Slice {
    const slice = this.byName.get(name);
    if (slice === undefined) throw new RangeError(`no parameter is named ${name}`);
    return slice;
  }

  /** The same parameters, laid out as `to` lays them out. */
  convert<A extends Float32Array | Float64Array>(
    values: ArrayLike<number>,
    to: ParameterLayout,
    out: A,
  ): A {
    this.slices.forEach((from, i) => {
      const { offset } = to.slices[i];
      for (let k = 0; k < from.size; k++) out[offset + k] = values[from.offset + k];
    });
    return out;
  }
}

/** Draws every parameter in the table's order, flat and without gaps. */
export function initialParameters(config: Config, dims: Dims, random: PythonRandom): Float64Array {
  const layout = new ParameterLayout(dims);
  const values = new Float64Array(layout.size);
  for (const { name, offset, size } of layout.slices) {
    // The generator is drawn for the zeros too, as the original's gauss(0, 0) does.
    const zero = config.zero_init && (name.endsWith("attn_wo") || name.endsWith("mlp_fc2"));
    for (let i = 0; i < size; i++) values[offset + i] = random.gauss(0, zero ? 0 : config.init_std);
  }
  return values;
}
