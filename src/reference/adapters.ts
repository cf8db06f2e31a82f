// What low-rank adapters take beside products.

import type { LinearAdapters } from "../model/adapters.ts";
import { matmulBackwardInput } from "./ops.ts";
import { endOf, firstOf, WHOLE } from "./parts.ts";
import type { Values } from "./values.ts";

/** Of a linear layer's adapters; `scale` is the factor on what they add. */
export interface AdapterSizes extends Pick<LinearAdapters, "R" | "parts"> {
  scale: number;
}

/** out (OC, S·R): of each part its b (rows, R) times scale, in the rows that it makes and R columns of its own, or 0. */
export function adapterSpread(
  out: Values,
  b: Values,
  { OC, R, parts, scale }: AdapterSizes & { OC: number },
): void {
  const SR = R * parts.length;
  out.fill(0, 0, OC * SR);
  let row = 0;
  parts.forEach(({ begin, end }, s) => {
    for (let o = begin; o < end; o++, row++) {
      for (let r = 0; r < R; r++) out[o * SR + s * R + r] = scale * b[row * R + r];
    }
  });
}

/** db (rows of all parts, R) from dweight (OC, S·R), the gradient of what adapterSpread() makes. */
export function adapterGather(
  db: Values,
  dweight: Values,
  { R, parts, scale }: AdapterSizes,
): void {
  const SR = R * parts.length;
  let row = 0;
  parts.forEach(({ begin, end }, s) => {
    for (let o = begin; o < end; o++, row++) {
      for (let r = 0; r < R; r++) db[row * R + r] = scale * dweight[o * SR + s * R + r];
    }
  });
}

/** dinp (N, C) = x (N, C) + dout (N, OC) · weight (OC, C). */
export function matmulResidualBackwardInput(
  dinp: Values,
  x: Values,
  dout: Values,
  weight: Values,
  sizes: { N: number; C: number; OC: number },
  part = WHOLE,
): void {
  matmulBackwardInput(dinp, dout, weight, sizes, part);
  const end = endOf(sizes.N, part) * sizes.C;
  for (let i = firstOf(sizes.N, part) * sizes.C; i < end; i++) dinp[i] += x[i];
}
