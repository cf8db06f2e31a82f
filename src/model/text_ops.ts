// Operations on rows of texts that are continued, as dispatches: the twins of reference/text_rows.ts and draw_token.ts. A row
// is a token of a text, and its text lies in a slot.

import type { Device } from "../device/device.ts";
import { type Dispatch, gridOf } from "../device/schedule.ts";
import type { Tensor } from "../device/tensors.ts";
import { attentionRoom } from "./attention.ts";
import { type HeadGains, headThreads, wanted } from "./head_ops.ts";
import { elements, powerOfTwo, rowThreads } from "./workgroups.ts";

/** Integers of a row: slot, position, id, and the tokens that were drawn for it before. */
export const ROW_FIELDS = 4;
/** Integers of a slide: slot, positions that are kept, those that go, and one that does not count. */
export const SLIDE_FIELDS = 4;
/** Numbers of how a slot's text is drawn: temperature, top_k, top_p, min_p, penalty, number of biases. */
export const DRAWING_FIELDS = 6;
/** Of a bias: the id, and what is added to its logit. */
export const BIAS_FIELDS = 2;

interface SlotSizes {
  /** Rows. */
  N: number;
  /** Positions of a slot. */
  T: number;
  NKV: number;
  HS: number;
}

/**
 * @param wpe undefined where positions are not learned
 * @param sizes.eps undefined where no norm follows
 */
export function embeddingRows(
  device: Device,
  out: Tensor,
  rows: Tensor,
  wte: Tensor,
  wpe: Tensor | undefined,
  { N, T, C, V, eps }: { N: number; T: number; C: number; V: number; eps?: number },
): Dispatch {
  return {
    op: "embedding_rows",
    kernel: "embedding_rows",
    constants: { WG: rowThreads(device, C), NORM: Number(eps !== undefined) },
    sizes: { N, C, V, positions: wpe ? T : 0, eps: eps ?? 0 },
    bindings: { out, rows, wte, wpe: wpe ?? { ...device.nothing, dtype: wte.dtype } },
    grid: gridOf(device, N),
  };
}

/**
 * @param norm whether there is one
 * @param gains null where there are none
 * @param turns null where nothing turns
 */
export function headsCache(
  device: Device,
  q: Tensor,
  keys: Tensor,
  values: Tensor,
  qkv: Tensor,
  rows: Tensor,
  norm: boolean,
  gains: HeadGains | null,
  turns: Tensor | null,
  sizes: SlotSizes & { NH: number; eps: number },
): Dispatch {
  const unread = turns ?? device.nothing;
  return {
    op: "heads_cache",
    kernel: "heads_cache",
    constants: headThreads(device, sizes.HS),
    sizes: { ...sizes, ...wanted(norm, gains, turns) },
    bindings: {
      q,
      keys,
      values,
      qkv,
      rows,
      q_gain: gains?.q ?? unread,
      k_gain: gains?.k ?? unread,
      turns: unread,
    },
    grid: gridOf(device, sizes.N),
  };
}

export function attentionCache(
  device: Device,
  out: Tensor,
  q: Tensor,
  keys: Tensor,
  values: Tensor,
  rows: Tensor,
  { N, ...sizes }: SlotSizes & { NH: number },
): Dispatch {
  return {
    op: "attention_cache",
    kernel: "attention_cache",
    constants: { ...attentionThreads(device, sizes), ROOM: attentionRoom(sizes.HS) },
    sizes,
    bindings: { out, q, keys, values, rows },
    grid: [sizes.NH, N, 1],
  };
}

/** Threads of a workgroup, two keys each, and those of them that are across channels. */
function attentionThreads(device: Device, { T, HS }: Pick<SlotSizes, "T" | "HS">) {
  if (device.software) {
    const WG = rowThreads(device, T);
    return { WG, X: Math.min(WG, 8) };
  }
  const WG = Math.min(256, Math.max(64, powerOfTwo(T / 2)));
  return { WG, X: Math.min(64, powerOfTwo(HS)) };
}

/** @param slides (N, SLIDE_FIELDS) */
export function slideCache(
  device: Device,
  keys: Tensor,
  values: Tensor,
  slides: Tensor,
  turns: Tensor,
  sizes: SlotSizes,
): Dispatch {
  const { N, T, NKV, HS } = sizes;
  const { WG, grid } = elements(device, (N * NKV * T * HS) / 2);
  return {
    op: "slide_cache",
    kernel: "slide_cache",
    constants: { WG },
    sizes: { N, T, NKV, HS },
    bindings: { keys, values, slides, turns },
    grid,
  };
}

interface DrawTensors {
  /** (steps, slots) */
  ids: Tensor;
  /** (N, ROW_FIELDS), which become those of the tokens drawn. */
  rows: Tensor;
  /** (N, V) */
  logits: Tensor;
  /** (slots, idWords(V)), a bit an id: those that the text has, and those that are never drawn. */
  seen: Tensor;
  never: Tensor;
  /** (slots, DRAWING_FIELDS) */
  drawings: Tensor;
  /** (slots, B, BIAS_FIELDS) */
  biases: Tensor;
  /** (steps, slots) of [0, 1). */
  numbers: Tensor;
}

/** @param sizes.B biases that there is room for in a slot */
export function drawToken(
  device: Device,
  tensors: DrawTensors,
  { N, V, T, slots, B }: { N: number; V: number; T: number; slots: number; B: number },
): Dispatch {
  return {
    op: "draw_token",
    kernel: "draw_token",
    constants: { WG: rowThreads(device, V) },
    sizes: { N, V, T, slots, words: idWords(V), biases: B },
    bindings: { ...tensors },
    grid: gridOf(device, N),
  };
}

/** Words that hold a bit for every id. */
export function idWords(V: number): number {
  return Math.ceil(V / 32);
}
