// The model's operations as dispatches of their kernels, named as in the reference (in camelCase), same order of
// arguments: products and attention here, rows in row_ops.ts, heads in head_ops.ts; optimizers in optimizer_ops.ts. These
// are the places that choose a kernel, its constants and its grid for a shape.

import type { Relu } from "../choices.ts";
import type { Device } from "../device/device.ts";
import type { Dispatch } from "../device/schedule.ts";
import type { Tensor } from "../device/tensors.ts";
import {
  attention,
  attentionFamilies,
  type AttentionKernels,
  type AttentionOp,
  type AttentionSizes,
} from "./attention.ts";
import {
  halvesOf,
  product,
  type ProductShape,
  type ProductTensors,
  type ProductVariant,
  productVariants,
} from "./product.ts";
import { RowOps } from "./row_ops.ts";
import { LARGEST_SCALE } from "./step_data.ts";

/** What decides between kernels, where more than one can serve. */
export interface Choices {
  /** Planes that there is room for in the flat gradients. */
  planes?: number;
  /** A product's kernel; by rule where absent. */
  product?: (shape: ProductShape, variants: readonly ProductVariant[]) => ProductVariant;
  /** Attention's kernels, where they can serve; by rule where absent. */
  attention?: AttentionKernels;
}

export class GpuOps extends RowOps {
  private readonly choices: Required<Choices>;

  constructor(device: Device, choices: Choices = {}) {
    super(device);
    this.choices = {
      planes: 1,
      product: firstVariant,
      attention: attentionFamilies(device)[0],
      ...choices,
    };
  }

  /** One product, or a pair, by the kernel that is chosen for it. */
  private product(
    op: string,
    [M, N, K]: [number, number, number],
    kind: Pick<ProductShape, "transposed" | "pair" | "epilogue">,
    tensors: ProductTensors,
    { plane = 0, splits, add }: { plane?: number; splits?: number; add?: boolean } = {},
  ): Dispatch {
    const { device, choices } = this;
    const shape = { op, M, N, K, half: halvesOf(tensors), ...kind };
    const chosen = choices.product(shape, productVariants(device, shape, choices.planes));
    const variant = { ...chosen, splits: splits ?? chosen.splits };
    return product(device, shape, variant, tensors, { plane, add });
  }

  matmulForward(out: Tensor, inp: Tensor, weight: Tensor, { N, C, OC }: LinearSizes): Dispatch {
    const tensors = { out, a: inp, b: weight };
    return this.product("matmul_forward", [N, OC, C], forwards("none"), tensors);
  }

  matmulResidualForward(
    out: Tensor,
    x: Tensor,
    inp: Tensor,
    weight: Tensor,
    { N, C, OC }: LinearSizes,
  ): Dispatch {
    const tensors = { out, a: inp, b: weight, extra: x };
    return this.product("matmul_residual_forward", [N, OC, C], forwards("residual"), tensors);
  }

  matmulActivationForward(
    act: Tensor,
    inp: Tensor,
    weight: Tensor,
    { N, C, OC, activation }: LinearSizes & { activation: Relu },
  ): Dispatch {
    const tensors = { out: act, a: inp, b: weight };
    return this.product("matmul_activation_forward", [N, OC, C], forwards(activation), tensors);
  }

  /** @param dweight (splits, OC, C), of which the planes lie apart as sizes.plane says */
  matmulBackward(
    dinp: Tensor,
    dweight: Tensor,
    dout: Tensor,
    inp: Tensor,
    weight: Tensor,
    { N, C, OC, ...planes }: BackwardSizes,
  ): Dispatch {
    const tensors = { out: dinp, out2: dweight, a: dout, b: weight, b2: inp };
    return this.product("matmul_backward", [N, C, OC], backwards("none"), tensors, planes);
  }

  /** Of a frozen weight. */
  matmulBackwardInput(
    dinp: Tensor,
    dout: Tensor,
    weight: Tensor,
    { N, C, OC }: LinearSizes,
  ): Dispatch {
    const tensors = { out: dinp, a: dout, b: weight };
    return this.product("matmul_backward_input", [N, C, OC], inputs("none"), tensors);
  }

  /** @param x (N, C), what is added */
  matmulResidualBackwardInput(
    dinp: Tensor,
    x: Tensor,
    dout: Tensor,
    weight: Tensor,
    { N, C, OC }: LinearSizes,
  ): Dispatch {
    const tensors = { out: dinp, a: dout, b: weight, extra: x };
    return this.product("matmul_residual_backward_input", [N, C, OC], inputs("residual"), tensors);
  }

  /** @param dweight as in matmulBackward() */
  matmulActivationBackward(
    dx: Tensor,
    dweight: Tensor,
    dout: Tensor,
    act: Tensor,
    weight: Tensor,
    { N, C, OC, activation, ...planes }: BackwardSizes & { activation: Relu },
  ): Dispatch {
    const tensors = { out: dx, out2: dweight, a: dout, b: weight, b2: act, extra: act };
    const kind = backwards(`${activation}_backward`);
    return this.product("matmul_activation_backward", [N, C, OC], kind, tensors, planes);
  }

  attentionForward(out: Tensor, stats: Tensor, qkv: Tensor, sizes: AttentionSizes): Dispatch {
    return this.attention("attention_forward", { out, stats, qkv }, sizes);
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
    const bindings = { dqkv, delta, dout, out, qkv, stats };
    return this.attention("attention_backward_q", bindings, sizes);
  }

  attentionBackwardKv(
    dqkv: Tensor,
    delta: Tensor,
    dout: Tensor,
    qkv: Tensor,
    stats: Tensor,
    sizes: AttentionSizes,
  ): Dispatch {
    const bindings = { dqkv, delta, dout, qkv, stats };
    return this.attention("attention_backward_kv", bindings, sizes);
  }

  private attention(
    op: AttentionOp,
    bindings: Dispatch["bindings"],
    sizes: AttentionSizes,
  ): Dispatch {
    const { device, choices } = this;
    const WG = this.rowThreads(sizes.T);
    return attention(device, { first: choices.attention, WG }, op, bindings, sizes);
  }

  /**
   * @param grads (planes, size), or a piece of the only plane
   * @param chunk a power of two
   * @param first the place in partials of its first chunk
   */
  gradientSum(
    grads: Tensor,
    partials: Tensor,
    scaler: Tensor,
    { size, planes, chunk, first = 0 }: PlaneSizes & { chunk: number; first?: number },
  ): Dispatch {
    return {
      op: "gradient_sum",
      kernel: "gradient_sum",
      constants: { WG: this.device.software ? this.rowThreads(chunk) : Math.min(chunk, 256) },
      sizes: { size, planes, chunk, first },
      bindings: { grads, partials, scaler },
      grid: this.grid(Math.ceil(size / chunk)),
    };
  }

  /**
   * @param losses (N, stride), of which the first number counts
   * @param growth steps after which the gradients' scale is doubled, up to `largest`; 0 leaves it as it is
   */
  stepRecord(
    records: Tensor,
    scaler: Tensor,
    losses: Tensor,
    partials: Tensor,
    step_data: Tensor,
    { N, stride, chunks, growth, largest = LARGEST_SCALE, beta1, beta2 }: RecordSizes,
  ): Dispatch {
    const log = (beta: number) => Math.max(Math.log(beta), -100); // of 0 too a number; e^-100 is 0
    return {
      op: "step_record",
      kernel: "step_record",
      constants: { WG: this.rowThreads(Math.max(N, chunks)) },
      sizes: { N, stride, chunks, growth, largest, log_beta1: log(beta1), log_beta2: log(beta2) },
      bindings: { records, scaler, losses, partials, step_data },
      grid: [1, 1, 1],
    };
  }
}

const firstVariant = (_: ProductShape, [first]: readonly ProductVariant[]) => first;
const forwards = (epilogue: ProductShape["epilogue"]) => ({
  transposed: true,
  pair: false,
  epilogue,
});
const backwards = (epilogue: ProductShape["epilogue"]) => ({
  transposed: false,
  pair: true,
  epilogue,
});

const inputs = (epilogue: ProductShape["epilogue"]) => ({
  transposed: false,
  pair: false,
  epilogue,
});

/** Of a linear layer: rows, input and output channels. */
export interface LinearSizes {
  N: number;
  C: number;
  OC: number;
}

/** Of flat gradients. */
interface PlaneSizes {
  size: number;
  planes: number;
}

/** Of a linear layer's gradients. */
export interface BackwardSizes extends LinearSizes {
  /** Elements of the weight's gradient from plane to plane. */
  plane: number;
  /** How many planes; as many as the chosen kernel makes where absent. */
  splits?: number;
  /** Where the weight's gradient is made of chunks of the rows: whether to add this one's to what stands there. */
  add?: boolean;
}

interface RecordSizes {
  N: number;
  stride: number;
  /** Partials of the gradients' norm. */
  chunks: number;
  growth: number;
  largest?: number;
  beta1: number;
  beta2: number;
}
