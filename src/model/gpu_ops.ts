// Every operation of the reference as a dispatch of its kernel: same names (in camelCase), same order of
// arguments. This is the one place that chooses a kernel, its constants and its grid for a shape.

import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import type { Dispatch } from "../device/schedule.ts";
import { type Tensor, sizeOf } from "../device/tensors.ts";
import {
  attention,
  type AttentionKernels,
  attentionKernels,
  type AttentionSizes,
  portableAttention,
} from "./attention.ts";
import { product } from "./product.ts";

type Activation = Config["activation"];

export class GpuOps {
  private readonly device: Device;
  /** Subgroup size, for the kernels made for software GPUs; 0 for those that run anywhere. */
  private readonly lanes: number;
  private readonly attentionKernels: AttentionKernels;

  constructor(
    device: Device,
    lanes = softwareLanes(device),
    attention = attentionKernels(device, lanes),
  ) {
    this.device = device;
    this.lanes = lanes;
    this.attentionKernels = attention;
  }

  /** A grid of at least `count` workgroups; kernels count x first, then y, and leave the rest out. */
  private grid(count: number): [number, number, number] {
    const most = this.device.gpu.limits.maxComputeWorkgroupsPerDimension;
    return count <= most ? [count, 1, 1] : [most, Math.ceil(count / most), 1];
  }

  /**
   * Threads of a workgroup that shares a row of `width`: no more than are needed, and no more than a
   * subgroup on software GPUs, whose barriers cost with each thread; but enough that none sums over
   * 128 numbers, so that float32 sums stay exact to 1e-6.
   */
  private rowThreads(width: number): number {
    const usual = this.device.lanes < 16 ? 8 : 64;
    const needed = 2 ** Math.ceil(Math.log2(Math.max(width, 1)));
    const exact = 2 ** Math.ceil(Math.log2(Math.max(width / 128, 1)));
    return Math.min(256, Math.max(exact, Math.min(usual, Math.max(needed, 4))));
  }

  /** One thread an element. */
  private elements(count: number): { WG: number; grid: [number, number, number] } {
    const WG = 64;
    return { WG, grid: this.grid(Math.ceil(count / WG)) };
  }

  embeddingForward(
    out: Tensor,
    ids: Tensor,
    wte: Tensor,
    wpe: Tensor,
    { B, T, C, V }: { B: number; T: number; C: number; V: number },
  ): Dispatch {
    const { WG, grid } = this.elements(B * T * C);
    return {
      op: "embedding_forward",
      kernel: "embedding_forward",
      constants: { WG },
      sizes: { N: B * T, T, C, V },
      bindings: { out, ids, wte, wpe },
      grid,
    };
  }

  /** @param order, starts positions sorted by token, see model/step_data.ts */
  embeddingBackwardToken(
    dwte: Tensor,
    dout: Tensor,
    order: Tensor,
    starts: Tensor,
    { C, V }: { C: number; V: number },
  ): Dispatch {
    const WG = Math.max(this.rowThreads(C), 8);
    return {
      op: "embedding_backward_token",
      kernel: "embedding_backward_token",
      constants: { WG },
      sizes: { C, V },
      bindings: { dwte, dout, order, starts },
      grid: this.grid(V),
    };
  }

  embeddingBackwardPosition(
    dwpe: Tensor,
    dout: Tensor,
    { B, T, C }: { B: number; T: number; C: number },
  ): Dispatch {
    const { WG, grid } = this.elements(T * C);
    return {
      op: "embedding_backward_position",
      kernel: "embedding_backward_position",
      constants: { WG },
      sizes: { B, T, C },
      bindings: { dwpe, dout },
      grid,
    };
  }

  rmsnormForward(
    out: Tensor,
    rstd: Tensor,
    inp: Tensor,
    { N, C, eps }: { N: number; C: number; eps: number },
  ): Dispatch {
    return {
      op: "rmsnorm_forward",
      kernel: "rmsnorm_forward",
      constants: { WG: this.rowThreads(C) },
      sizes: { N, C, eps },
      bindings: { out, rstd, inp },
      grid: this.grid(N),
    };
  }

  rmsnormBackward(
    dinp: Tensor,
    dout: Tensor,
    inp: Tensor,
    rstd: Tensor,
    { N, C, accumulate }: { N: number; C: number; accumulate: boolean },
  ): Dispatch {
    return {
      op: "rmsnorm_backward",
      kernel: "rmsnorm_backward",
      constants: { WG: this.rowThreads(C) },
      sizes: { N, C, accumulate: Number(accumulate) },
      bindings: { dinp, dout, inp, rstd },
      grid: this.grid(N),
    };
  }

  matmulForward(out: Tensor, inp: Tensor, weight: Tensor, { N, C, OC }: LinearSizes): Dispatch {
    return product(this.lanes, "matmul_forward", [out, inp, weight], [N, OC, C], [C, 1], [1, C]);
  }

  matmulResidualForward(
    out: Tensor,
    x: Tensor,
    inp: Tensor,
    weight: Tensor,
    { N, C, OC }: LinearSizes,
  ): Dispatch {
    const op = "matmul_residual_forward";
    return product(this.lanes, op, [out, inp, weight], [N, OC, C], [C, 1], [1, C], "residual", x);
  }

  matmulActivationForward(
    act: Tensor,
    inp: Tensor,
    weight: Tensor,
    { N, C, OC, activation }: LinearSizes & { activation: Activation },
  ): Dispatch {
    const op = "matmul_activation_forward";
    return product(this.lanes, op, [act, inp, weight], [N, OC, C], [C, 1], [1, C], activation);
  }

  matmulBackwardInput(
    dinp: Tensor,
    dout: Tensor,
    weight: Tensor,
    { N, C, OC }: LinearSizes,
  ): Dispatch {
    return product(
      this.lanes,
      "matmul_backward_input",
      [dinp, dout, weight],
      [N, C, OC],
      [OC, 1],
      [C, 1],
    );
  }

  matmulActivationBackwardInput(
    dx: Tensor,
    dout: Tensor,
    weight: Tensor,
    act: Tensor,
    { N, C, OC, activation }: LinearSizes & { activation: Activation },
  ): Dispatch {
    const op = "matmul_activation_backward_input";
    const epilogue = `${activation}_backward` as const;
    return product(this.lanes, op, [dx, dout, weight], [N, C, OC], [OC, 1], [C, 1], epilogue, act);
  }

  matmulBackwardWeight(
    dweight: Tensor,
    dout: Tensor,
    inp: Tensor,
    { N, C, OC }: LinearSizes,
  ): Dispatch {
    return product(
      this.lanes,
      "matmul_backward_weight",
      [dweight, dout, inp],
      [OC, C, N],
      [1, OC],
      [C, 1],
    );
  }

  attentionForward(out: Tensor, stats: Tensor, qkv: Tensor, sizes: AttentionSizes): Dispatch {
    const operands = { shared: { out, stats, qkv }, vectors: { qkv_vectors: qkv } };
    return attention(this.attentionChoice(sizes), "attention_forward", operands, sizes);
  }

  attentionBackwardQ(
    dqkv: Tensor,
    delta: Tensor,
    dout: Tensor,
    out: Tensor,
    qkv: Tensor,
    stats: Tensor,
    sizes: AttentionSizes,
  ): Dispatch {
    const shared = { dqkv, delta, dout, out, qkv, stats };
    const operands = { shared, vectors: { qkv_vectors: qkv } };
    return attention(this.attentionChoice(sizes), "attention_backward_q", operands, sizes);
  }

  attentionBackwardKv(
    dqkv: Tensor,
    delta: Tensor,
    dout: Tensor,
    qkv: Tensor,
    stats: Tensor,
    sizes: AttentionSizes,
  ): Dispatch {
    const shared = { dqkv, delta, qkv, stats };
    const vectors = { qkv_vectors: qkv, dout_vectors: dout };
    const operands = { shared, plain: { dout }, vectors };
    return attention(this.attentionChoice(sizes), "attention_backward_kv", operands, sizes);
  }

  private attentionChoice({ T }: AttentionSizes) {
    return { kernels: this.attentionKernels, lanes: this.lanes, WG: this.rowThreads(T) };
  }

  crossEntropy(
    losses: Tensor,
    logits: Tensor,
    targets: Tensor,
    step_data: Tensor,
    { N, V }: { N: number; V: number },
  ): Dispatch {
    return {
      op: "cross_entropy",
      kernel: "cross_entropy",
      constants: { WG: this.rowThreads(V) },
      sizes: { N, V },
      bindings: { losses, logits, targets, step_data },
      grid: this.grid(N),
    };
  }

  meanLoss(records: Tensor, losses: Tensor, step_data: Tensor, { N }: { N: number }): Dispatch {
    return {
      op: "mean_loss",
      kernel: "mean_loss",
      constants: { WG: this.rowThreads(N) },
      sizes: { N },
      bindings: { records, losses, step_data },
      grid: [1, 1, 1],
    };
  }

  /** @param first the place in partials of grads' first chunk */
  gradNormPartial(
    partials: Tensor,
    grads: Tensor,
    { chunk, first = 0 }: { chunk: number; first?: number },
  ): Dispatch {
    const size = sizeOf(grads);
    return {
      op: "grad_norm_partial",
      kernel: "grad_norm_partial",
      constants: { WG: this.rowThreads(chunk) },
      sizes: { size, chunk, offset: first },
      bindings: { partials, grads },
      grid: this.grid(Math.ceil(size / chunk)),
    };
  }

  gradNorm(records: Tensor, partials: Tensor, step_data: Tensor): Dispatch {
    const chunks = sizeOf(partials);
    return {
      op: "grad_norm",
      kernel: "grad_norm",
      constants: { WG: this.rowThreads(chunks) },
      sizes: { chunks },
      bindings: { records, partials, step_data },
      grid: [1, 1, 1],
    };
  }

  adamw(
    params: Tensor,
    m: Tensor,
    v: Tensor,
    grads: Tensor,
    records: Tensor,
    step_data: Tensor,
    { beta1, beta2, epsilon, weight_decay, grad_clip }: AdamwConstants,
  ): Dispatch {
    const size = sizeOf(params);
    const { WG, grid } = this.elements(size);
    return {
      op: "adamw",
      kernel: "adamw",
      constants: { WG },
      sizes: { size, beta1, beta2, epsilon, weight_decay, grad_clip },
      bindings: { params, m, v, grads, records, step_data },
      grid,
    };
  }
}

/** The subgroup size of a software GPU that has subgroups; 0 on every other device. */
function softwareLanes({ lanes, features, info }: Device): number {
  const fixed = features.includes("subgroups") && info.subgroupMinSize === lanes;
  return fixed && (lanes === 4 || lanes === 8) ? lanes : 0;
}

/** Every choice of kernels that this device can run, the one it is given first. */
export function opsVariants(device: Device): GpuOps[] {
  return [new GpuOps(device), ...portableAttention(device).map((a) => new GpuOps(device, 0, a))];
}

/** Of a linear layer: rows, input and output channels. */
export interface LinearSizes {
  N: number;
  C: number;
  OC: number;
}

export interface AdamwConstants {
  beta1: number;
  beta2: number;
  epsilon: number;
  weight_decay: number;
  grad_clip: number;
}
