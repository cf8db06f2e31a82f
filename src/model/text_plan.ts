// Continuing texts, planned before anything is allocated. Each of several texts has a slot, where the keys and values of its
// positions stay. A chunk of a prompt's rows, or a row of every text, goes through the layers; of the rows that something is
// to follow come logits, and a draw. Whatever else is in the batch, a row's numbers are the same: no kernel that makes it
// depends on how many there are.
// Letters: parameters.ts.

import { isRelu, isRope } from "../choices.ts";
import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import type { Dispatch } from "../device/schedule.ts";
import { placeholders, sliceTensor, type Tensor, type TensorSpec } from "../device/tensors.ts";
import { type EngineConfig, isLikeMicrogpt } from "./engines.ts";
import type { ForwardConfig } from "./forward_config.ts";
import { GpuOps } from "./gpu_ops.ts";
import { type Dims, isGain, mlpChannels, ParameterLayout, qkvChannels } from "./parameters.ts";
import { fewRowsVariant, productVariants } from "./product.ts";
import * as text from "./text_ops.ts";
import { turnSpecs } from "./turns.ts";

/** Rows of prompts that are read at a time at most. */
const CHUNK = 128;
/** Rows whose logits are made at a time at least, where those of a whole text are wanted. */
const SCORED = 16;
/** Tokens of a text in one submit at most. */
export const MOST_STEPS = 32;
/** Biases on a text's logits that there is room for on the GPU. */
export const MOST_BIASES = 128;

export interface TextSizes {
  num_slots: number;
  /** Of weights, keys and values; all else is f32. */
  dtype: Config["dtype"];
}

/** Texts that are written at the same time at most where nobody says how many. */
const TOGETHER = 8;

/** For what a model's config says is written: texts of a model that is like microgpt follow one another. */
export function writingSizes(config: EngineConfig & Pick<Config, "num_samples">): TextSizes {
  const together = Math.max(1, Math.min(config.num_samples, TOGETHER));
  return { num_slots: isLikeMicrogpt(config) ? 1 : together, dtype: "f32" };
}

/** By the number of rows that a list is made for. */
interface TextLists {
  /** Chunk rows to the last stream `x`, and keys and values. */
  chunk: (rows: number) => Dispatch[];
  /** Rows, one of a text each, to the last stream `tops`, and keys and values. */
  rows: (rows: number) => Dispatch[];
  /** `tops` to logits. */
  head: (rows: number) => Dispatch[];
  /** Logits to ids and the rows that come next. */
  draw: (rows: number) => Dispatch[];
  /** What a full context lets go. */
  slide: (slides: number) => Dispatch[];
}

export interface TextPlan extends TextSizes {
  /** Rows of a chunk, and of those that logits are made of, at most. */
  chunk: number;
  tops: number;
  /** Numbers of rows that `rows` and `head` have a list of their own for, the smallest first. */
  row_lists: number[];
  head_lists: number[];
  /** Names of the tensors that are kept of a text, each (num_slots, …). */
  cached: string[];
  /** Whether a full context slides; else what is left is read anew. */
  slides: boolean;
  /** All but the parameters. */
  table: TensorSpec[];
  /** @param tensors the table's, `weights` and `gains`: in the order of the layout, and of gainLayout() or that too */
  lists: (tensors: Record<string, Tensor>) => TextLists;
  /** All that is in the lists, before there are tensors. */
  dispatches: Dispatch[];
}

/** Of the gains alone, where they are not with the weights. */
export function gainLayout({ dims }: ParameterLayout): ParameterLayout {
  return new ParameterLayout(dims, GAIN_ALIGNMENT, isGain);
}

/** 256 bytes of f32, as WebGPU wants of a binding. */
const GAIN_ALIGNMENT = 64;

export function planTexts(
  device: Device,
  config: ForwardConfig,
  layout: ParameterLayout,
  { num_slots, dtype }: TextSizes,
): TextPlan {
  const { dims } = layout;
  const chunk = Math.min(CHUNK, num_slots * dims.T);
  const tops = Math.max(num_slots, Math.min(SCORED, dims.T));
  const table = tableOf(config, dims, { num_slots, dtype, chunk, tops });
  const lists = (tensors: Record<string, Tensor>) =>
    listsOf({ device, config, layout, num_slots, chunk, tensors, dtype });
  const planned = lists(
    placeholders([
      ...table,
      { name: "weights", shape: [layout.size], ...halfOf(dtype) },
      { name: "gains", shape: [layout.size] },
    ]),
  );
  const row_lists = lengths(num_slots);
  const head_lists = lengths(tops);
  const dispatches = [
    ...planned.chunk(chunk),
    ...row_lists.flatMap(planned.rows),
    ...head_lists.flatMap(planned.head),
    ...planned.draw(num_slots),
    ...planned.slide(num_slots),
  ];
  const slides = isRope(config.position);
  const sizes = { num_slots, dtype, chunk, tops, row_lists, head_lists };
  const cached = table.map(({ name }) => name).filter((name) => /\.(keys|values)$/.test(name));
  return { ...sizes, slides, cached, table, lists, dispatches };
}

/** Few rows need not wait for the sums of more that are not there. */
function lengths(most: number): number[] {
  return [1, 4].filter((rows) => rows < most).concat(most);
}

function halfOf(dtype: Config["dtype"]): Pick<TensorSpec, "dtype"> {
  return { f32: {}, f16: { dtype: "f16" } as const }[dtype];
}

function tableOf(
  config: ForwardConfig,
  dims: Dims,
  { num_slots, dtype, chunk, tops }: TextSizes & Pick<TextPlan, "chunk" | "tops">,
): TensorSpec[] {
  const { T, C, V, NH, NKV, HS, H, L } = dims;
  const N = Math.max(chunk, num_slots);
  const whole = (NKV * HS * T) % 2 === 0 ? halfOf(dtype) : {}; // a slot is of whole words
  const words = text.idWords(V);
  const some = (there: boolean, name: string, ...shape: number[]) =>
    there ? [{ name, shape }] : [];
  return [
    ...turnSpecs(config, dims),
    { name: "chunk_rows", shape: [chunk, text.ROW_FIELDS] },
    { name: "rows", shape: [tops, text.ROW_FIELDS] },
    { name: "slides", shape: [num_slots, text.SLIDE_FIELDS] },
    { name: "x", shape: [N, C] },
    { name: "mid", shape: [N, C] },
    { name: "ln", shape: [N, C] },
    { name: "rstd", shape: [Math.max(N, tops)] },
    { name: "qkv", shape: [N, qkvChannels(dims)] },
    { name: "q", shape: [N, NH * HS] },
    { name: "att", shape: [N, NH * HS] },
    ...some(!isRelu(config.activation), "pre", N, mlpChannels(dims)),
    { name: "act", shape: [N, H] },
    { name: "tops", shape: [tops, C] },
    ...some(config.final_norm, "lnf", tops, C),
    { name: "logits", shape: [tops, V] },
    { name: "ids", shape: [MOST_STEPS, num_slots] },
    { name: "numbers", shape: [MOST_STEPS, num_slots] },
    { name: "seen", shape: [num_slots, words] },
    { name: "never", shape: [num_slots, words] },
    { name: "drawings", shape: [num_slots, text.DRAWING_FIELDS] },
    { name: "biases", shape: [num_slots, MOST_BIASES, text.BIAS_FIELDS] },
    ...Array.from({ length: L }, (_, l) => [
      { name: `layer${l}.keys`, shape: [num_slots, NKV, HS, T], ...whole },
      { name: `layer${l}.values`, shape: [num_slots, NKV, T, HS], ...whole },
    ]).flat(),
  ];
}

interface Planned extends TextSizes {
  device: Device;
  config: ForwardConfig;
  layout: ParameterLayout;
  chunk: number;
  tensors: Record<string, Tensor>;
}

function listsOf(planned: Planned): TextLists {
  const { device, config, layout, num_slots, chunk, tensors: t } = planned;
  const { dims } = layout;
  const { T, C, V, NKV, HS, L } = dims;
  // By the rule for a whole chunk, however many rows there are.
  const many = new GpuOps(device, {
    product: (shape) => productVariants(device, { ...shape, M: chunk }, 1)[0],
  });
  const few = new GpuOps(device, { product: () => fewRowsVariant(device) });
  const { w, gain } = parametersOf(planned);
  const { logit_softcap: softcap } = config;
  return {
    chunk: (N) => layers(planned, many, t.chunk_rows, t.x, N),
    rows: (N) => layers(planned, few, t.rows, t.tops, N),
    head: (N) => [
      ...(config.final_norm
        ? [norm(few, t.lnf, t.rstd, t.tops, gain("final_norm"), planned, N)]
        : []),
      few.matmulForward(t.logits, config.final_norm ? t.lnf : t.tops, w("head"), { N, C, OC: V }),
      ...(softcap > 0 ? [few.softcapForward(t.logits, { N, V, softcap })] : []),
    ],
    draw: (N) => {
      const { ids, rows, logits, seen, never, drawings, biases, numbers } = t;
      const tensors = { ids, rows, logits, seen, never, drawings, biases, numbers };
      return [text.drawToken(device, tensors, { N, V, T, slots: num_slots, B: MOST_BIASES })];
    },
    slide: (N) =>
      Array.from({ length: isRope(config.position) ? L : 0 }, (_, l) => {
        const [keys, values] = [t[`layer${l}.keys`], t[`layer${l}.values`]];
        return text.slideCache(device, keys, values, t.slides, t.turns, { N, T, NKV, HS });
      }),
  };
}

/** Rows to the last stream. */
function layers(planned: Planned, ops: GpuOps, rows: Tensor, last: Tensor, N: number): Dispatch[] {
  const { device, config, layout, tensors: t } = planned;
  const { T, C, V, NH, NKV, HS, H, L, wpe } = layout.dims;
  const { activation, rmsnorm_eps: eps } = config;
  const [A, W, IN] = [NH * HS, qkvChannels(layout.dims), mlpChannels(layout.dims)];
  const { w, gain, headGains } = parametersOf(planned);
  const slots = { N, T, NH, NKV, HS };
  const embedding = { N, T, C, V, eps: config.embedding_norm ? eps : undefined };
  const first = L > 0 ? t.x : last;
  const list = [
    text.embeddingRows(device, first, rows, w("wte"), wpe ? w("wpe") : undefined, embedding),
  ];
  for (let l = 0; l < L; l++) {
    const wl = (name: string) => w(`layer${l}.${name}`);
    const [keys, values] = [t[`layer${l}.keys`], t[`layer${l}.values`]];
    const turns = t.turns ?? null;
    list.push(
      norm(ops, t.ln, t.rstd, t.x, gain(`layer${l}.attn_norm`), planned, N),
      ops.matmulForward(t.qkv, t.ln, wl("attn_wqkv"), { N, C, OC: W }),
      text.headsCache(device, t.q, keys, values, t.qkv, rows, config.qk_norm, headGains(l), turns, {
        ...slots,
        eps,
      }),
      text.attentionCache(device, t.att, t.q, keys, values, rows, slots),
      ops.matmulResidualForward(t.mid, t.x, t.att, wl("attn_wo"), { N, C: A, OC: C }),
      norm(ops, t.ln, t.rstd, t.mid, gain(`layer${l}.mlp_norm`), planned, N),
    );
    if (isRelu(activation)) {
      const sizes = { N, C, OC: H, activation };
      list.push(ops.matmulActivationForward(t.act, t.ln, wl("mlp_in"), sizes));
    } else {
      list.push(
        ops.matmulForward(t.pre, t.ln, wl("mlp_in"), { N, C, OC: IN }),
        ops.activationForward(t.act, t.pre, { N, H, activation }),
      );
    }
    const out = l === L - 1 ? last : t.x;
    list.push(ops.matmulResidualForward(out, t.mid, t.act, wl("mlp_fc2"), { N, C: H, OC: C }));
  }
  return list;
}

function norm(
  ops: GpuOps,
  out: Tensor,
  rstd: Tensor,
  inp: Tensor,
  gain: Tensor | undefined,
  { config, layout }: Planned,
  N: number,
): Dispatch {
  const sizes = { N, C: layout.dims.C, eps: config.rmsnorm_eps };
  return gain
    ? ops.rmsnormGainForward(out, rstd, inp, gain, sizes)
    : ops.rmsnormForward(out, rstd, inp, sizes);
}

/** The parameters by name: weights, and gains where the model has them. */
function parametersOf({ layout, tensors, dtype }: Planned) {
  const { dims } = layout;
  const { weights, gains } = tensors;
  const gained = dtype === "f16" ? gainLayout(layout) : layout;
  const w = (name: string) => sliceTensor(weights, layout.slice(name));
  const g = (name: string) => sliceTensor(gains, gained.slice(name));
  const gain = (name: string) =>
    (name === "final_norm" ? dims.final_gain : dims.norm_gains) ? g(name) : undefined;
  const headGains = (l: number) =>
    dims.head_gains ? { q: g(`layer${l}.q_norm`), k: g(`layer${l}.k_norm`) } : null;
  return { w, gain, headGains };
}
