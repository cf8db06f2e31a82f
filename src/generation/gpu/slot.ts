// How a text is drawn, as the GPU reads it from the text's slot.

import type { Device } from "../../device/device.ts";
import type { Tensor } from "../../device/tensors.ts";
import { BIAS_FIELDS, DRAWING_FIELDS, idWords } from "../../model/text_ops.ts";
import { MOST_BIASES } from "../../model/text_plan.ts";
import type { Continuation } from "../decoder.ts";

export type SlotText = Pick<
  Continuation,
  | "temperature"
  | "top_k"
  | "top_p"
  | "min_p"
  | "repetition_penalty"
  | "logit_bias"
  | "never"
  | "seen"
>;

/** Whether there is room for all that a text is drawn by. */
export function fitsSlot({ logit_bias = {} }: SlotText): boolean {
  return Object.keys(logit_bias).length <= MOST_BIASES;
}

/** Numbers near 0 and beyond f32 do what those do that are within it. */
const [SMALLEST, LARGEST] = [1e-30, 1e38];
const within = (x: number) => Math.max(-LARGEST, Math.min(LARGEST, x));

/** @param V ids that there are */
export function writeSlot(
  { gpu }: Device,
  tensors: Record<string, Tensor>,
  slot: number,
  V: number,
  text: SlotText,
): void {
  const { temperature, top_k = 0, top_p = 1, min_p = 0, repetition_penalty = 1 } = text;
  const biases = Object.entries(text.logit_bias ?? {}).slice(0, MOST_BIASES);
  const write = (tensor: Tensor, words: number, bytes: ArrayBuffer) =>
    gpu.queue.writeBuffer(tensor.buffer, tensor.offset + slot * words * 4, bytes);

  const drawing = new ArrayBuffer(DRAWING_FIELDS * 4);
  const warmth = temperature === 0 ? 0 : Math.max(SMALLEST, within(temperature));
  new Float32Array(drawing).set([warmth, 0, top_p, min_p, within(repetition_penalty)]);
  const integers = new Uint32Array(drawing);
  integers[1] = Math.min(top_k, V);
  integers[5] = biases.length;
  write(tensors.drawings, DRAWING_FIELDS, drawing);

  if (biases.length > 0) {
    const pairs = new ArrayBuffer(biases.length * BIAS_FIELDS * 4);
    biases.forEach(([id, value], i) => {
      new Uint32Array(pairs)[i * BIAS_FIELDS] = Number(id);
      new Float32Array(pairs)[i * BIAS_FIELDS + 1] = within(value);
    });
    write(tensors.biases, MOST_BIASES * BIAS_FIELDS, pairs);
  }

  const words = idWords(V);
  write(tensors.never, words, bitsOf(text.never, words));
  // A penalty near 1 is none once it is f32's.
  if (repetition_penalty !== 1) write(tensors.seen, words, bitsOf(text.seen, words));
}

/** A bit for every id. */
function bitsOf(ids: Iterable<number>, words: number): ArrayBuffer {
  const bits = new Uint32Array(words);
  for (const id of ids) bits[id >> 5] |= 1 << (id & 31);
  return bits.buffer;
}
