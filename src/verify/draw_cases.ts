// The cases of drawing: every option alone and all together, small vocabularies and large ones, several rows at once.

import * as ops from "../model/text_ops.ts";
import { drawToken, type SlotDrawing } from "../reference/draw_token.ts";
import { NORM_BOUND } from "./compare.ts";
import type { KernelCase, Normal } from "./kernel_case.ts";

const everything: Omit<SlotDrawing, "never" | "seen"> = {
  temperature: 1,
  top_k: 0,
  top_p: 1,
  min_p: 0,
  repetition_penalty: 1,
  biases: [],
};

const drawings: [name: string, Partial<SlotDrawing>][] = [
  ["temperature 0.8", { temperature: 0.8 }],
  ["temperature 1e-9", { temperature: 1e-9 }],
  ["temperature 1e30", { temperature: 1e30 }],
  ["greedy", { temperature: 0 }],
  ["top_k 3", { top_k: 3 }],
  ["top_k 1", { top_k: 1 }],
  ["top_p 0.6", { top_p: 0.6 }],
  ["min_p 0.2", { min_p: 0.2 }],
  ["repetition penalty 1.5", { repetition_penalty: 1.5 }],
  ["all of it", { temperature: 0.7, top_k: 12, top_p: 0.9, min_p: 0.05, repetition_penalty: 1.3 }],
];

export function drawCases(normal: Normal): KernelCase[] {
  const cases = ([N, V]: number[]) =>
    drawings.map(([name, drawing], i) =>
      drawCase(`N ${N}, V ${V}, ${name}`, normal(N * V, 2), { N, V }, [
        drawing,
        {
          ...drawings[(i + 3) % drawings.length][1],
          biases: [
            [V - 1, 3],
            [1, -2],
          ],
        },
      ]),
    );

  const twice = normal(30);
  const ties = Float32Array.from({ length: 60 }, (_, i) => twice[i >> 1]);
  return [
    ...cases([3, 27]),
    ...cases([1, 300]),
    ...drawings.map(([name, drawing]) =>
      drawCase(`alike in twos, ${name}`, ties, { N: 1, V: 60 }, [drawing]),
    ),
    drawCase("V 1", normal(1), { N: 1, V: 1 }, [{ top_p: 0.5 }]),
    drawCase("all alike, top_p 0.3", new Float32Array(33), { N: 1, V: 33 }, [{ top_p: 0.3 }]),
    drawCase("N 2, V 50257, all of it", normal(2 * 50257, 3), { N: 2, V: 50257 }, [
      drawings.at(-1)![1],
      { top_p: 0.95 },
    ]),
    drawCase("logits of ±1e30", normal(40, 1e30), { N: 1, V: 40 }, [{ top_k: 5 }]),
  ];
}

/** Row n is that of slot n + 1, and draws by the n-th of the options, from the first on again. */
function drawCase(
  name: string,
  logits: Float32Array,
  { N, V }: { N: number; V: number },
  options: readonly Partial<SlotDrawing>[],
): KernelCase {
  const [slots, T, B] = [N + 1, 9, 3];
  const words = ops.idWords(V);
  const steps = 2; // of which this is the second
  const bits = (has: (id: number) => boolean) =>
    Uint32Array.from({ length: words }, (_, w) => {
      let word = 0;
      for (let bit = 0; bit < 32; bit++) {
        if (w * 32 + bit < V && has(w * 32 + bit)) word |= 1 << bit;
      }
      return word >>> 0;
    });
  const perSlot = Array.from({ length: slots }, (_, slot): SlotDrawing => ({
    ...everything,
    never: new Set(V > 4 ? [slot, 4] : []),
    seen: new Set([2, 5, 6, 20].filter((id) => id < V && id !== slot)),
    ...options[(slot + options.length - 1) % options.length],
  }));
  const masks = (of: "never" | "seen") =>
    perSlot.flatMap((slot) => [...bits((id) => slot[of].has(id))]);
  const fields = new ArrayBuffer(slots * ops.DRAWING_FIELDS * 4);
  const biases = new ArrayBuffer(slots * B * ops.BIAS_FIELDS * 4);
  perSlot.forEach((slot, s) => {
    const { temperature, top_k, top_p, min_p, repetition_penalty } = slot;
    const at = s * ops.DRAWING_FIELDS;
    const numbers = new Float32Array(fields);
    numbers.set([temperature, 0, top_p, min_p, repetition_penalty], at);
    new Uint32Array(fields).set([top_k], at + 1);
    new Uint32Array(fields).set([slot.biases.length], at + 5);
    slot.biases.forEach(([id, value], b) => {
      const place = (s * B + b) * ops.BIAS_FIELDS;
      new Uint32Array(biases)[place] = id;
      new Float32Array(biases)[place + 1] = value;
    });
  });
  const rows = Array.from({ length: N }, (_, n) => [n + 1, n === 0 ? T - 1 : n, 0, 1]);
  const numbers = Float32Array.from({ length: steps * slots }, (_, i) => (i * 0.3719 + 0.1137) % 1);
  const seen = Uint32Array.from(masks("seen"));
  return {
    kernel: "draw_token",
    name,
    inputs: {
      never: Uint32Array.from(masks("never")),
      drawings: new Uint32Array(fields),
      biases: new Uint32Array(biases),
      numbers,
    },
    outputs: {
      ids: {
        size: steps * slots,
        allowed: 0,
        initial: new Uint32Array(steps * slots),
        integers: true,
      },
      rows: {
        size: rows.length * ops.ROW_FIELDS,
        allowed: 0,
        initial: Uint32Array.from(rows.flat()),
        integers: true,
      },
      seen: { size: seen.length, allowed: 0, initial: seen, integers: true },
      logits: { size: N * V, allowed: NORM_BOUND, initial: logits },
    },
    dispatch: ({ device }, t) =>
      ops.drawToken(
        device,
        {
          ids: t.ids,
          rows: t.rows,
          logits: t.logits,
          seen: t.seen,
          never: t.never,
          drawings: t.drawings,
          biases: t.biases,
          numbers: t.numbers,
        },
        { N, V, T, slots, B },
      ),
    reference: (o) => {
      for (let n = 0; n < N; n++) {
        const slot = n + 1;
        const drawing = perSlot[slot];
        const line = o.logits.subarray(n * V, (n + 1) * V);
        const id = drawToken(line, drawing, numbers[slots + slot]);
        o.ids[slots + slot] = id;
        o.rows.set([slot, Math.min(rows[n][1] + 1, T - 1), id, 2], n * ops.ROW_FIELDS);
        if (drawing.repetition_penalty === 1) continue;
        const word = slot * words + (id >> 5);
        o.seen[word] = (o.seen[word] | (1 << (id & 31))) >>> 0;
      }
    },
  };
}
