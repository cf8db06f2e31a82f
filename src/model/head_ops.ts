// What happens to q and k between their product and attention, as dispatches: the twins of reference/heads.ts.

import type { Device } from "../device/device.ts";
import { type Dispatch, gridOf } from "../device/schedule.ts";
import { type Tensor, sizeOf } from "../device/tensors.ts";

/** Channels of a head that a pipeline of the backward pass has room for at least: one serves all smaller ones. */
const LEAST_ROOM = 64;
/** Workgroups that the backward pass is shared out to at most, whatever the device: the gains' planes are as many. */
const MOST_CHUNKS = 1024;

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

/** Rows that a workgroup of the backward pass has; N rows make (chunks, 2, HS) partials of the gains' gradients. */
export function headChunks(N: number): { rows: number; chunks: number } {
  const rows = Math.ceil(N / MOST_CHUNKS);
  return { rows, chunks: Math.ceil(N / rows) };
}

export class HeadOps {
  private readonly device: Device;

  constructor(device: Device) {
    this.device = device;
  }

  /** Threads that share a head, a power of two, and heads that a workgroup has at a time. */
  private threads(HS: number): { X: number; Y: number } {
    if (this.device.software) return { X: 8, Y: 1 }; // barriers cost there with each thread
    const X = Math.min(128, powerOfTwo(HS / 2));
    return { X, Y: 128 / X };
  }

  /**
   * At least one of norm and turn must be wanted; out is another tensor than qkv.
   * @param rstd (B·T, NH + NKV); null where there is no norm
   * @param gains null where there are none
   * @param turns as turnTable() makes it; null where nothing turns
   */
  headsForward(
    out: Tensor,
    rstd: Tensor | null,
    qkv: Tensor,
    gains: HeadGains | null,
    turns: Tensor | null,
    { B, T, eps, ...heads }: HeadSizes & { eps: number },
  ): Dispatch {
    const { nothing } = this.device;
    const unread = turns ?? nothing; // where rstd is the nothing that is written to
    return {
      op: "heads_forward",
      kernel: "heads_forward",
      constants: this.threads(heads.HS),
      sizes: { N: B * T, T, ...heads, ...parts(rstd, gains, turns), eps },
      bindings: {
        out,
        rstd: rstd ?? nothing,
        qkv,
        q_gain: gains?.q ?? unread,
        k_gain: gains?.k ?? unread,
        turns: unread,
      },
      grid: gridOf(this.device, B * T),
    };
  }

  /**
   * dqkv from the gradient of what headsForward() made, which it holds.
   * @param partials (chunks, 2, HS), whose sums over the chunks are the gains' gradients; null where there are no gains
   * @param qkv, rstd of the forward pass; null where there is no norm
   * @param rows of a chunk; as headChunks() says where absent
   */
  headsBackward(
    dqkv: Tensor,
    partials: Tensor | null,
    qkv: Tensor | null,
    rstd: Tensor | null,
    gains: HeadGains | null,
    turns: Tensor | null,
    { B, T, rows = headChunks(B * T).rows, ...heads }: HeadSizes & { rows?: number },
  ): Dispatch {
    const N = B * T;
    const { nothing } = this.device;
    const unread = turns ?? rstd ?? nothing; // where partials are the nothing that is written to
    const { X, Y } = this.threads(heads.HS);
    return {
      op: "heads_backward",
      kernel: "heads_backward",
      constants: { X, Y, PAIRS: powerOfTwo(Math.max(heads.HS, LEAST_ROOM) / 2 / X) },
      sizes: { N, T, ...heads, ...parts(rstd, gains, turns), rows },
      bindings: {
        dqkv,
        partials: partials ?? nothing,
        qkv: qkv ?? { ...unread, dtype: dqkv.dtype }, // one pipeline with and without
        rstd: rstd ?? unread,
        q_gain: gains?.q ?? unread,
        k_gain: gains?.k ?? unread,
        turns: unread,
      },
      grid: gridOf(this.device, Math.ceil(N / rows)),
    };
  }

  /** out (C) = the sums of C columns of inp (N, stride) from column `first` on. */
  columnSum(
    out: Tensor,
    inp: Tensor,
    {
      N,
      C = sizeOf(out),
      stride = C,
      first = 0,
    }: { N: number; C?: number; stride?: number; first?: number },
  ): Dispatch {
    return {
      op: "column_sum",
      kernel: "column_sum",
      constants: {},
      sizes: { N, C, stride, first },
      bindings: { out, inp },
      grid: [Math.ceil(C / 8), 1, 1],
    };
  }
}

/** Which of them there are. */
function parts(rstd: Tensor | null, gains: HeadGains | null, turns: Tensor | null) {
  return {
    norm: Number(rstd !== null),
    gain: Number(gains !== null),
    turn: Number(turns !== null),
  };
}

/** The next one, from 1 on. */
function powerOfTwo(count: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(count, 1)));
}
