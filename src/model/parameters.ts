// The one table of the model's parameters: names, shapes, order. Buffers, files, counts and tests come from it.
//
// Letters used everywhere: B batch, T time (block_size), C channels (n_embd), V vocabulary, L layers, NH heads,
// NKV heads of keys and values, HS head size, H channels inside the MLP, N rows (B·T), OC output channels of a product.

import { isGated, isRope } from "../choices.ts";
import type { Config } from "../config.ts";
import { targetsOf } from "../config/lora_targets.ts";
import { sizeOf } from "../device/tensors.ts";
import type { PythonRandom } from "../random.ts";
import { type Adapters, adapterTable, adapterViews } from "./adapters.ts";

/** The sizes of a model, and which of the tensors it has that not every model has. */
export interface Dims {
  V: number;
  T: number;
  C: number;
  NH: number;
  NKV: number;
  HS: number;
  H: number;
  L: number;
  /** Positions are learned. */
  wpe: boolean;
  /** The head has a weight of its own, which is not the embedding's. */
  lm_head: boolean;
  /** The MLP is gated. */
  mlp_gate: boolean;
  /** The norms of each layer have gains; and so have those of q and k, and the one before the head. */
  norm_gains: boolean;
  head_gains: boolean;
  final_gain: boolean;
  /**
   * Of a model whose weights are frozen: then the parameters are the adapters, and the weights those of frozenDims().
   */
  adapters?: Adapters;
}

/** What decides a model's parameters. */
type Architecture = Pick<
  Config,
  | "n_layer"
  | "n_embd"
  | "n_head"
  | "n_kv_head"
  | "head_dim"
  | "block_size"
  | "mlp_hidden"
  | "activation"
  | "position"
  | "qk_norm"
  | "norm_gain"
  | "final_norm"
  | "tie_embeddings"
> &
  Partial<Pick<Config, "lora_rank" | "lora_targets">>;

export function dimsOf(config: Architecture, vocab_size: number): Dims {
  const { n_embd: C, n_head: NH, norm_gain } = config;
  const mlp_gate = isGated(config.activation);
  const { lora_rank: R = 0, lora_targets = "" } = config;
  return {
    V: vocab_size,
    T: config.block_size,
    C,
    NH,
    NKV: config.n_kv_head || NH,
    HS: config.head_dim || C / NH,
    H: config.mlp_hidden || (mlp_gate ? Math.ceil((8 * C) / (3 * 64)) * 64 : 4 * C),
    L: config.n_layer,
    wpe: !isRope(config.position),
    lm_head: !config.tie_embeddings,
    mlp_gate,
    norm_gains: norm_gain,
    head_gains: norm_gain && config.qk_norm,
    final_gain: norm_gain && config.final_norm,
    ...(R > 0 && { adapters: { R, targets: targetsOf(lora_targets, mlp_gate) } }),
  };
}

/** Channels of q, k and v together, as one product makes them. */
export function qkvChannels({ NH, NKV, HS }: Pick<Dims, "NH" | "NKV" | "HS">): number {
  return (NH + 2 * NKV) * HS;
}

/** Channels that the MLP's first product makes: the gate's, if there is one, and those that it gates. */
export function mlpChannels({ H, mlp_gate }: Pick<Dims, "H" | "mlp_gate">): number {
  return mlp_gate ? 2 * H : H;
}

/** (rows, columns) of a matrix, where a product's weight is (out, in); or (channels) of a gain. */
export type Shape = readonly [number, number] | readonly [number];

export interface ParameterInfo {
  name: string;
  shape: Shape;
  /** Whether it always lies behind the one before without a gap: together they are one weight of a product. */
  follows?: boolean;
}

/** Every parameter in the order of initialisation and of flattening; for microgpt's models that of its own list. */
function parameterTable(dims: Dims): ParameterInfo[] {
  const { V, T, C, NH, NKV, HS, H, L, norm_gains, head_gains } = dims;
  if (dims.adapters) return adapterTable(dims);
  const some = (there: boolean, name: string, ...shape: Shape): ParameterInfo[] =>
    there ? [{ name, shape }] : [];
  const next = (name: string, ...shape: Shape): ParameterInfo => ({ name, shape, follows: true });
  const layer = (l: number) => [
    ...some(norm_gains, `layer${l}.attn_norm`, C),
    ...some(true, `layer${l}.attn_wq`, NH * HS, C),
    next(`layer${l}.attn_wk`, NKV * HS, C),
    next(`layer${l}.attn_wv`, NKV * HS, C),
    ...some(head_gains, `layer${l}.q_norm`, HS),
    ...some(head_gains, `layer${l}.k_norm`, HS),
    ...some(true, `layer${l}.attn_wo`, C, NH * HS),
    ...some(norm_gains, `layer${l}.mlp_norm`, C),
    ...some(dims.mlp_gate, `layer${l}.mlp_gate`, H, C),
    { ...next(`layer${l}.mlp_fc1`, H, C), follows: dims.mlp_gate },
    ...some(true, `layer${l}.mlp_fc2`, C, H),
  ];
  return [
    ...some(true, "wte", V, C),
    ...some(dims.wpe, "wpe", T, C),
    ...some(dims.lm_head, "lm_head", V, C),
    ...Array.from({ length: L }, (_, l) => layer(l)).flat(),
    ...some(dims.final_gain, "final_norm", C),
  ];
}

/** Whether a parameter is a norm's gain: it starts at 1, and no weight decay pulls it down. */
export function isGain({ shape }: Pick<ParameterInfo, "shape">): boolean {
  return shape.length === 1;
}

/**
 * What is counted of a model: a damaged or absurd L makes no endless table.
 * @param most layers that are counted; each further one has as much as the last of them
 */
export function byLayers(dims: Dims, countOf: (dims: Dims) => number, most = 2): number {
  if (dims.L <= most) return countOf(dims);
  const [before, all] = [most - 1, most].map((L) => countOf({ ...dims, L }));
  return all + (dims.L - most) * (all - before);
}

export function parameterCount(dims: Dims): number {
  return byLayers(dims, (d) => parameterTable(d).reduce((sum, spec) => sum + sizeOf(spec), 0));
}

/** Where a tensor lies in a flat array, in elements. */
export interface Slice {
  name: string;
  shape: Shape;
  offset: number;
  size: number;
}

/** Elements at whose multiples a tensor starts on the GPU: 256 bytes of f16, as WebGPU wants of a binding. */
export const PARAMETER_ALIGNMENT = 128;

/** All parameters (or their gradients, or a moment of the optimizer) in one flat array. */
export class ParameterLayout {
  readonly dims: Dims;
  /** In the order of parameterTable(). */
  readonly slices: readonly Slice[];
  /** Elements of the flat array. */
  readonly size: number;
  private readonly byName: Map<string, Slice>;

  /**
   * @param align elements at whose multiples a tensor may start. those that `follows` never have a gap before them
   * @param has which parameters it is of, for what is not kept of all
   */
  constructor(dims: Dims, align = 1, has: (parameter: ParameterInfo) => boolean = () => true) {
    this.dims = dims;
    let end = 0;
    this.slices = parameterTable(dims)
      .filter(has)
      .map(({ name, shape, follows }) => {
        const offset = follows ? end : Math.ceil(end / align) * align;
        const size = sizeOf({ shape });
        end = offset + size;
        return { name, shape, offset, size };
      });
    this.size = Math.ceil(end / align) * align;
    this.byName = new Map(this.slices.map((slice) => [slice.name, slice]));
    const { C } = dims;
    this.view("head", dims.lm_head ? "lm_head" : "wte", [dims.V, C]);
    for (let l = 0; l < dims.L; l++) {
      this.view(`layer${l}.attn_wqkv`, `layer${l}.attn_wq`, [qkvChannels(dims), C]);
      const first = dims.mlp_gate ? "mlp_gate" : "mlp_fc1";
      this.view(`layer${l}.mlp_in`, `layer${l}.${first}`, [mlpChannels(dims), C]);
      for (const { name, first, shape } of adapterViews(dims, l)) this.view(name, first, shape);
    }
  }

  /** Names the matrix of all that begins with `first`. */
  private view(name: string, first: string, shape: readonly [number, number]): void {
    const offset = this.byName.get(first)?.offset;
    if (offset === undefined) return; // a layout that is not of all
    this.byName.set(name, { name, shape, offset, size: sizeOf({ shape }) });
  }

  /**
   * A tensor of the table; or of a layer's views `layer<l>.attn_wqkv`, q, k and v as one weight, and `layer<l>.mlp_in`,
   * the gate, if there is one, and fc1; or `head`, lm_head or wte in its place; or a layer's adapters as its products
   * read them, `layer<l>.<product>.lora_A` and `.lora_B`.
   */
  slice(name: string): Slice {
    const slice = this.byName.get(name);
    if (slice === undefined) throw new RangeError(`no parameter is named ${name}`);
    return slice;
  }

  /** Of flat arrays that follow each other: from the slice's place in the first to its end in the last of them. */
  across(name: string, planes: number): Slice {
    const slice = this.slice(name);
    return { ...slice, size: (planes - 1) * this.size + slice.size };
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

/** Draws every parameter but the gains, which are 1, in the table's order, flat and without gaps. */
export function initialParameters(config: Config, dims: Dims, random: PythonRandom): Float64Array {
  const layout = new ParameterLayout(dims);
  const values = new Float64Array(layout.size);
  for (const slice of layout.slices) {
    const { name, offset, size } = slice;
    if (isGain(slice)) {
      values.fill(1, offset, offset + size);
      continue;
    }
    // The generator is drawn for the zeros too, as the original's gauss(0, 0) does.
    const zero = config.zero_init && (name.endsWith("attn_wo") || name.endsWith("mlp_fc2"));
    for (let i = 0; i < size; i++) values[offset + i] = random.gauss(0, zero ? 0 : config.init_std);
  }
  return values;
}
