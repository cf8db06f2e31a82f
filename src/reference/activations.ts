// Activations of the MLP whose input is kept for the backward pass, and the softcap of the logits.

import type { Config } from "../config.ts";
import { endOf, firstOf, type Part, WHOLE } from "./parts.ts";
import type { Values } from "./values.ts";

interface Sizes {
  N: number;
  H: number;
}

/** GPT-2's: x·(1 + tanh(u)) / 2 with u = √(2/π)·(x + CUBE·x³). */
const ROOT = Math.sqrt(2 / Math.PI);
const CUBE = 0.044715;

/** act (N, H) = gelu(pre (N, H)). */
function geluForward(act: Values, pre: Values, { N, H }: Sizes, part: Part): void {
  for (let i = firstOf(N, part) * H, end = endOf(N, part) * H; i < end; i++) {
    const x = pre[i];
    act[i] = 0.5 * x * (1 + Math.tanh(ROOT * (x + CUBE * x ** 3)));
  }
}

/** dpre (N, H) = dact · gelu'(pre), which may be in dact's place. */
function geluBackward(dpre: Values, dact: Values, pre: Values, { N, H }: Sizes, part: Part): void {
  for (let i = firstOf(N, part) * H, end = endOf(N, part) * H; i < end; i++) {
    const x = pre[i];
    const tanh = Math.tanh(ROOT * (x + CUBE * x ** 3));
    const slope = (1 - tanh ** 2) * ROOT * (1 + 3 * CUBE * x ** 2);
    dpre[i] = dact[i] * 0.5 * (1 + tanh + x * slope);
  }
}

/** act (N, H) = silu(gate) · up, where a row of pre (N, 2H) is gate and up, one behind the other. */
function swigluForward(act: Values, pre: Values, { N, H }: Sizes, part: Part): void {
  for (let n = firstOf(N, part), end = endOf(N, part); n < end; n++) {
    for (let h = 0; h < H; h++) {
      const gate = pre[n * 2 * H + h];
      act[n * H + h] = (gate / (1 + Math.exp(-gate))) * pre[n * 2 * H + H + h];
    }
  }
}

/** dpre (N, 2H): dgate = dact · up · silu'(gate), dup = dact · silu(gate). */
function swigluBackward(
  dpre: Values,
  dact: Values,
  pre: Values,
  { N, H }: Sizes,
  part: Part,
): void {
  for (let n = firstOf(N, part), end = endOf(N, part); n < end; n++) {
    for (let h = 0; h < H; h++) {
      const [i, j] = [n * 2 * H + h, n * 2 * H + H + h];
      const gate = pre[i];
      const sigmoid = 1 / (1 + Math.exp(-gate));
      dpre[i] = dact[n * H + h] * pre[j] * sigmoid * (1 + gate * (1 - sigmoid));
      dpre[j] = dact[n * H + h] * gate * sigmoid;
    }
  }
}

/** logits (N, V) = softcap · tanh(logits / softcap), in place; its gradient is crossEntropy()'s. */
export function softcapForward(
  logits: Values,
  { N, V, softcap }: { N: number; V: number; softcap: number },
  part = WHOLE,
): void {
  const end = endOf(N, part) * V;
  for (let i = firstOf(N, part) * V; i < end; i++)
    logits[i] = softcap * Math.tanh(logits[i] / softcap);
}

/** act (N, H) = of(pre (N, H)), and dpre (N, H) = dact · slope(pre). */
function plain(of: (x: number) => number, slope: (x: number) => number) {
  const range = ({ N, H }: Sizes, part: Part) => [firstOf(N, part) * H, endOf(N, part) * H];
  return {
    forward: (act: Values, pre: Values, sizes: Sizes, part: Part) => {
      for (let [i, end] = range(sizes, part); i < end; i++) act[i] = of(pre[i]);
    },
    backward: (dpre: Values, dact: Values, pre: Values, sizes: Sizes, part: Part) => {
      for (let [i, end] = range(sizes, part); i < end; i++) dpre[i] = dact[i] * slope(pre[i]);
    },
  };
}

const kinds: Record<
  Config["activation"],
  { forward: typeof geluForward; backward: typeof geluBackward }
> = {
  gelu: { forward: geluForward, backward: geluBackward },
  swiglu: { forward: swigluForward, backward: swigluBackward },
  relu: plain(
    (x) => Math.max(x, 0),
    (x) => Number(x > 0),
  ),
  relu_squared: plain(
    (x) => Math.max(x, 0) ** 2,
    (x) => 2 * Math.max(x, 0),
  ),
};

interface ActivationSizes extends Sizes {
  activation: Config["activation"];
}

/** act (N, H) = activation(pre), where pre is (N, H), of swiglu (N, 2H). */
export function activationForward(
  act: Values,
  pre: Values,
  { activation, ...sizes }: ActivationSizes,
  part = WHOLE,
): void {
  kinds[activation].forward(act, pre, sizes, part);
}

/** dpre, as pre in shape, the gradient of pre, from that of act (N, H). */
export function activationBackward(
  dpre: Values,
  dact: Values,
  pre: Values,
  { activation, ...sizes }: ActivationSizes,
  part = WHOLE,
): void {
  kinds[activation].backward(dpre, dact, pre, sizes, part);
}
