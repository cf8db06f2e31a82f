// What happens to q and k between their product and attention, as dispatches: the twins of reference/heads.ts.

import type { Device } from "../device/device.ts";
import { type Dispatch, gridOf } from "../device/schedule.ts";
import { ALIGNMENT, type Tensor } from "../device/tensors.ts";
import { powerOfTwo } from "./workgroups.ts";

/** Workgroups that the backward pass is shared out to at most, whatever the device: by it memory is planned. */
const MOST_PARTS = 1024;
/** Channels of a head that a pipeline of the backward pass has room for at least: one serves all smaller ones. */
const LEAST_ROOM = 64;
/** Numbers at whose multiples a piece of a tensor may start. */
const ALIGNED = ALIGNMENT / 4;

interface HeadSizes {
  B: number;
  T: number;
  NH: number;
  NKV: number;
  HS: number;
}

/** Gains (HS) that all heads of q share, and all of k. */
export interface HeadGains {
  q: Tensor;
  k: Tensor;
}

/**
 * How the gains' gradients of N rows are made: in (2, plane) numbers, which begin with (parts, HS) for q's gain and,
 * from `plane` on, for k's. A part is that of `rows` rows.
 */
export function headParts(N: number, HS: number, rows = Math.ceil(N / MOST_PARTS)) {
  const parts = Math.ceil(N / rows);
  return { rows, parts, plane: Math.ceil((parts * HS) / ALIGNED) * ALIGNED };
}

/**
 * At least one of norm and turn must be wanted; out is another tensor than qkv.
 * @param rstd (B·T, NH + NKV); null where there is no norm
 * @param gains null where there are none
 * @param turns as turnTable() makes it; null where nothing turns
 */
export function headsForward(
  device: Device,
  out: Tensor,
  rstd: Tensor | null,
  qkv: Tensor,
  gains: HeadGains | null,
  turns: Tensor | null,
  { B, T, eps, ...heads }: HeadSizes & { eps: number },
): Dispatch {
  const unread = turns ?? device.nothing; // without turns rstd is there, and nothing is written to nothing
  return {
    op: "heads_forward",
    kernel: "heads_forward",
    constants: headThreads(device, heads.HS),
    sizes: { N: B * T, T, ...heads, ...wanted(rstd !== null, gains, turns), eps },
    bindings: {
      out,
      rstd: rstd ?? device.nothing,
      qkv,
      q_gain: gains?.q ?? unread,
      k_gain: gains?.k ?? unread,
      turns: unread,
    },
    grid: gridOf(device, B * T),
  };
}

/**
 * dqkv from the gradient of what headsForward() made, which it holds.
 * @param dgains (2, plane) as headParts() says; null where there are no gains
 * @param qkv, rstd of the forward pass; null where there is no norm
 * @param rows of a part; as headParts() says where absent
 */
export function headsBackward(
  device: Device,
  dqkv: Tensor,
  dgains: Tensor | null,
  qkv: Tensor | null,
  rstd: Tensor | null,
  gains: HeadGains | null,
  turns: Tensor | null,
  { B, T, rows: given, ...heads }: HeadSizes & { rows?: number },
): Dispatch {
  const N = B * T;
  const { rows, parts, plane } = headParts(N, heads.HS, given);
  const unread = turns ?? rstd ?? device.nothing; // not the nothing that dgains may be
  const { X, Y } = headThreads(device, heads.HS);
  return {
    op: "heads_backward",
    kernel: "heads_backward",
    constants: { X, Y, PAIRS: powerOfTwo(Math.max(heads.HS, LEAST_ROOM) / 2 / X) },
    sizes: { N, T, ...heads, ...wanted(rstd !== null, gains, turns), rows, plane },
    bindings: {
      dqkv,
      dgains: dgains ?? device.nothing,
      qkv: qkv ?? { ...unread, dtype: dqkv.dtype }, // one pipeline with and without
      rstd: rstd ?? unread,
      q_gain: gains?.q ?? unread,
      k_gain: gains?.k ?? unread,
      turns: unread,
    },
    grid: gridOf(device, parts),
  };
}

/** Threads that share a head, a power of two, and heads that a workgroup has at a time. */
export function headThreads({ software }: Device, HS: number): { X: number; Y: number } {
  if (software) return { X: 8, Y: 1 }; // barriers cost there with each thread
  const X = Math.min(128, powerOfTwo(HS / 2));
  return { X, Y: 128 / X };
}

/** Which of them there are. */
export function wanted(norm: boolean, gains: HeadGains | null, turns: Tensor | null) {
  return {
    norm: Number(norm),
    gain: Number(gains !== null),
    turn: Number(turns !== null),
  };
}
