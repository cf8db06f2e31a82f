// Operations whose workgroups take a row each, or whose threads an element: embeddings, norms, activations, dropout,
// the loss. GpuOps extends them.

import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import { type Dispatch, gridOf } from "../device/schedule.ts";
import type { Tensor } from "../device/tensors.ts";
import { words } from "../philox.ts";
import { threshold } from "./dropout.ts";
import { elements, rowThreads } from "./workgroups.ts";

/** Rows whose share of a gain's gradient is summed by one workgroup, and how many of these there are at most. */
const GAIN_ROWS = 8;
const MOST_GAIN_PARTS = 1024;

/** As the WGSL numbers them. */
const ACTIVATIONS: Record<Config["activation"], number> = {
  gelu: 0,
  swiglu: 1,
  relu: 2,
  relu_squared: 3,
};

/** Parts that rmsnormGainBackward() makes of a gain's gradient over N rows. */
export function gainParts(N: number): number {
  return Math.min(Math.ceil(N / GAIN_ROWS), MOST_GAIN_PARTS);
}

export class RowOps {
  readonly device: Device;

  constructor(device: Device) {
    this.device = device;
  }

  protected grid(count: number): Dispatch["grid"] {
    return gridOf(this.device, count);
  }

  protected rowThreads(width: number): number {
    return rowThreads(this.device, width);
  }

  /** One thread an element. */
  protected elements(count: number): Pick<Dispatch, "constants" | "grid"> {
    const { WG, grid } = elements(this.device, count);
    return { constants: { WG }, grid };
  }

  /**
   * @param wte (V, C), or of them the rows from `first` on, which later pieces are to be added to
   * @param wpe undefined where positions are not learned, here and below, and beside later pieces
   */
  embeddingForward(
    out: Tensor,
    ids: Tensor,
    wte: Tensor,
    wpe: Tensor | undefined,
    { B, T, C, V, first = 0 }: EmbeddingSizes & { first?: number },
  ): Dispatch {
    return {
      op: "embedding_forward",
      kernel: "embedding_forward",
      ...this.elements(B * T * C),
      sizes: { N: B * T, C, V, positions: wpe ? T : 0, first },
      bindings: { out, ids, wte, wpe: wpe ?? this.device.nothing },
    };
  }

  embeddingRmsnormForward(
    out: Tensor,
    rstd: Tensor,
    ids: Tensor,
    wte: Tensor,
    wpe: Tensor | undefined,
    { B, T, C, V, eps }: EmbeddingSizes & { eps: number },
  ): Dispatch {
    return {
      op: "embedding_rmsnorm_forward",
      kernel: "embedding_rmsnorm_forward",
      constants: { WG: this.rowThreads(C) },
      sizes: { N: B * T, C, V, positions: wpe ? T : 0, first: 0, eps },
      bindings: { out, rstd, ids, wte, wpe: wpe ?? this.device.nothing },
      grid: this.grid(B * T),
    };
  }

  /**
   * @param order, starts positions sorted by token, see model/step_data.ts
   * @param sizes.accumulate whether the head's share already stands in dwte, whose weight is the embedding
   */
  embeddingBackward(
    dwte: Tensor,
    dwpe: Tensor | undefined,
    dout: Tensor,
    order: Tensor,
    starts: Tensor,
    { B, T, C, V, accumulate = false }: EmbeddingSizes & { accumulate?: boolean },
  ): Dispatch {
    const [X, Y] = this.device.software ? [8, 1] : [32, 8];
    const positions = dwpe ? T : 0;
    return {
      op: "embedding_backward",
      kernel: "embedding_backward",
      constants: { X, Y },
      sizes: { B, C, V, positions, accumulate: Number(accumulate) },
      bindings: { dwte, dwpe: dwpe ?? this.device.nothing, dout, order, starts },
      grid: this.grid((V + positions) * Math.ceil(C / X)),
    };
  }

  rmsnormForward(out: Tensor, rstd: Tensor, inp: Tensor, sizes: NormSizes): Dispatch {
    return this.norm("rmsnorm_forward", out, rstd, inp, undefined, sizes);
  }

  /** @param gain (C), in f32 */
  rmsnormGainForward(
    out: Tensor,
    rstd: Tensor,
    inp: Tensor,
    gain: Tensor,
    sizes: NormSizes,
  ): Dispatch {
    return this.norm("rmsnorm_gain_forward", out, rstd, inp, gain, sizes);
  }

  private norm(
    op: string,
    out: Tensor,
    rstd: Tensor,
    inp: Tensor,
    gain: Tensor | undefined,
    { N, C, eps }: NormSizes,
  ): Dispatch {
    return {
      op,
      kernel: "rmsnorm_forward",
      constants: { WG: this.rowThreads(C), GAIN: Number(gain !== undefined) },
      sizes: { N, C, eps },
      bindings: { out, rstd, inp, gain: gain ?? this.device.nothing },
      grid: this.grid(N),
    };
  }

  rmsnormBackward(
    dinp: Tensor,
    dout: Tensor,
    out: Tensor,
    rstd: Tensor,
    { N, C, accumulate }: { N: number; C: number; accumulate: boolean },
  ): Dispatch {
    return {
      op: "rmsnorm_backward",
      kernel: "rmsnorm_backward",
      constants: { WG: this.rowThreads(C) },
      sizes: { N, C, accumulate: Number(accumulate) },
      bindings: { dinp, dout, out, rstd },
      grid: this.grid(N),
    };
  }

  /** @param dgain (gainParts(N), C), for gainSum() */
  rmsnormGainBackward(
    dinp: Tensor,
    dgain: Tensor,
    dout: Tensor,
    inp: Tensor,
    rstd: Tensor,
    gain: Tensor,
    { N, C, accumulate }: { N: number; C: number; accumulate: boolean },
  ): Dispatch {
    const parts = gainParts(N);
    return {
      op: "rmsnorm_gain_backward",
      kernel: "rmsnorm_gain_backward",
      constants: { WG: this.rowThreads(C) },
      sizes: { N, C, parts, accumulate: Number(accumulate) },
      bindings: { dinp, dgain, dout, inp, rstd, gain },
      grid: this.grid(parts),
    };
  }

  /** @param parts (P, C), as rmsnormGainBackward() makes them */
  gainSum(dgain: Tensor, parts: Tensor, { P, C }: { P: number; C: number }): Dispatch {
    const [X, Y] = this.device.software ? [8, 4] : [8, 32];
    return {
      op: "gain_sum",
      kernel: "gain_sum",
      constants: { X, Y },
      sizes: { P, C },
      bindings: { dgain, parts },
      grid: this.grid(Math.ceil(C / X)),
    };
  }

  activationForward(act: Tensor, pre: Tensor, sizes: ActivationSizes): Dispatch {
    return this.activation("activation_forward", { act, pre }, sizes);
  }

  activationBackward(dpre: Tensor, dact: Tensor, pre: Tensor, sizes: ActivationSizes): Dispatch {
    return this.activation("activation_backward", { dpre, dact, pre }, sizes);
  }

  private activation(
    op: string,
    bindings: Dispatch["bindings"],
    { N, H, activation }: ActivationSizes,
  ): Dispatch {
    const { constants, grid } = this.elements(N * H);
    return {
      op,
      kernel: op,
      constants: { ...constants, ACTIVATION: ACTIVATIONS[activation] },
      sizes: { N, H },
      bindings,
      grid,
    };
  }

  dropout(out: Tensor, inp: Tensor, step_data: Tensor, sizes: DropoutSizes): Dispatch {
    return this.leaveOut("dropout", { out, inp, step_data }, sizes);
  }

  dropoutResidual(out: Tensor, x: Tensor, step_data: Tensor, sizes: DropoutSizes): Dispatch {
    return this.leaveOut("dropout_residual", { out, inp: x, step_data }, sizes);
  }

  private leaveOut(
    op: "dropout" | "dropout_residual",
    bindings: Dispatch["bindings"],
    { seed, tensor, B, T, C, dropout }: DropoutSizes,
  ): Dispatch {
    const [seed_low, seed_high] = words(seed);
    const line = T * C;
    return {
      op,
      kernel: "dropout",
      ...this.elements(Math.ceil((B * line) / 4) + 1),
      sizes: {
        size: B * line,
        line,
        seed_low,
        seed_high,
        tensor,
        least: threshold(dropout),
        scale: 1 / (1 - dropout),
        residual: Number(op === "dropout_residual"),
      },
      bindings,
    };
  }

  softcapForward(logits: Tensor, { N, V, softcap }: LogitSizes): Dispatch {
    return {
      op: "softcap_forward",
      kernel: "softcap_forward",
      ...this.elements(N * V),
      sizes: { N, V, softcap },
      bindings: { logits },
    };
  }

  /**
   * @param logits with a softcap those that softcapForward() has not gone over, unlike the reference's; in pieces of
   *   `piece` tokens all rows of one lie before those of the next
   */
  crossEntropy(
    losses: Tensor,
    logits: Tensor,
    targets: Tensor,
    step_data: Tensor,
    scaler: Tensor,
    { N, V, softcap = 0, piece = V }: EntropySizes,
  ): Dispatch {
    return {
      op: "cross_entropy",
      kernel: "cross_entropy",
      constants: {
        WG: this.rowThreads(V),
        CAPPED: Number(softcap > 0),
        PIECES: Number(piece < V),
      },
      sizes: { N, V, softcap, piece },
      bindings: { losses, logits, targets, step_data, scaler },
      grid: this.grid(N),
    };
  }
}

interface EntropySizes {
  N: number;
  V: number;
  softcap?: number;
  piece?: number;
}

interface EmbeddingSizes {
  B: number;
  T: number;
  C: number;
  V: number;
}

interface NormSizes {
  N: number;
  C: number;
  eps: number;
}

interface ActivationSizes {
  N: number;
  H: number;
  activation: Config["activation"];
}

interface DropoutSizes {
  seed: number;
  /** One of `dropped`, see dropout.ts. */
  tensor: number;
  B: number;
  /** The context. */
  T: number;
  C: number;
  dropout: number;
}

interface LogitSizes {
  N: number;
  V: number;
  softcap: number;
}
