// Whole models that continue texts on a device: the logits of prompts and of what is drawn behind them, against the
// float64 reference's.

import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import { GpuDecoder } from "../generation/gpu_decoder.ts";
import type { Dims } from "../model/parameters.ts";
import { PythonRandom } from "../random.ts";
import { ReferenceGpt } from "../reference/gpt.ts";
import { relativeError } from "./compare.ts";
import type { CheckResult } from "./kernel_case.ts";

/** Of a text's logits, relative; with weights in f16 every product adds about half of 2^-11. */
const BOUNDS = { f32: 1e-5, f16: 8 * 2 ** -11 };

/** Several texts at a time, of many lengths, each up to its context's end. */
export async function checkDecoding(
  device: Device,
  name: string,
  { config, dims, params }: { config: Config; dims: Dims; params: Float64Array },
): Promise<CheckResult> {
  const { T, V } = dims;
  const { dtype } = config;
  const decoder = await GpuDecoder.fromValues(device, config, dims, params, {
    num_slots: 3,
    dtype,
  });
  const reference = new ReferenceGpt(config, dims, params);
  const lengths = [...new Set([1, 2, Math.ceil(T / 2), T])].filter((length) => length <= T);
  const texts = lengths.map(async (length) => {
    const tokens = Array.from({ length }, (_, i) => (i * i + length) % V);
    const rows: number[] = [];
    for await (const row of decoder.score(tokens)) rows.push(...row);
    const drawing = { temperature: 1, never: [], seen: [], ends: [], keeps_first: true };
    const random = new PythonRandom(length);
    const max_tokens = T - length + 1;
    const text = { ...drawing, tokens: [...tokens], max_tokens, random, logits: true };
    for await (const { id, logits } of decoder.decode(text)) {
      // Of the prompt's last place there are two: as it was scored, and as it was read to go on.
      rows.push(...(logits as Float32Array));
      tokens.push(id);
    }
    return { tokens: tokens.slice(0, -1), given: length, rows };
  });
  let error = 0;
  try {
    for (const { tokens, given, rows } of await Promise.all(texts)) {
      const batch = { B: 1, T: tokens.length, inputs: Int32Array.from(tokens) };
      const all = reference.forward(batch);
      const expected = [...all.subarray(0, given * V), ...all.subarray((given - 1) * V)];
      error = Math.max(error, relativeError(rows, Float64Array.from(expected)));
    }
  } finally {
    decoder.destroy();
  }
  const allowed = BOUNDS[dtype];
  const pass = error <= allowed; // and not where it is NaN
  return { type: "check", kernel: "decoding", case: name, dtype, error, allowed, pass };
}
