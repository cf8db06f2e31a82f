// What saving takes of main memory: no more than `info` and the check before a run count.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { resolveConfig } from "../src/config.ts";
import { type Checkpoint, encodeCheckpoint } from "../src/files/checkpoint.ts";
import { encodeModel } from "../src/files/model_files.ts";
import { joined, MAX_HEADER, safetensorsPieces } from "../src/files/safetensors.ts";
import { hostBytes } from "../src/model/memory.ts";
import { dimsOf, initialParameters, parameterCount } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import { CharTokenizer } from "../src/tokenizer/char.ts";
import { createTrainer } from "../src/training/choose_trainer.ts";
import { loadCheckpoint } from "../src/files/model_dir.node.ts";
import { temporaryFolder } from "./cli/fake_io.ts";
import { device } from "./harness/device.ts";

const tokenizer = CharTokenizer.fromDocuments(["abc"]);
// Wide enough for the general trainer, whose tensors have gaps between them.
const config = resolveConfig("microgpt", { n_embd: 136, n_head: 2, block_size: 4 });
const dims = dimsOf(config, tokenizer.vocab_size);
const P = parameterCount(dims);

async function saved(on: typeof device | undefined): Promise<Checkpoint> {
  const params = initialParameters(config, dims, new PythonRandom(1));
  const trainer = await createTrainer(on, config, dims, params, [Int32Array.of(0, 1, 2, 0)]);
  for await (const _ of trainer.run(2));
  const state = await trainer.state();
  trainer.destroy();
  const place = {
    text: "",
    input: null,
    device: "cpu",
    adapter: null,
    kernels: null,
    validated: false,
    best: null,
    asked_vocab_size: 0,
    initialized: false,
  } as const;
  return { config, tokenizer, ...state, ...place };
}

/** Of all arrays, those that share memory counted once. */
const bytesOf = (arrays: readonly ArrayBufferView[]) =>
  [...new Set(arrays.map(({ buffer }) => buffer))].reduce((sum, b) => sum + b.byteLength, 0);

test.each([
  ["cpu", undefined, 8],
  ["webgpu", device, 4],
] as const)(
  "a run on %s is a copy of its numbers, and its files are views of it",
  async (name, on, width) => {
    const checkpoint = await saved(on);
    const { values, m, v, layout } = checkpoint;
    expect(values.length).toBe(layout.size);
    const gaps = on ? 3 * 4 * 128 * layout.slices.length : 0;
    const state = bytesOf([values, m, v]);
    expect(state).toBeGreaterThanOrEqual(3 * width * P);
    expect(state).toBeLessThanOrEqual(3 * width * P + gaps);

    const [head, ...pieces] = encodeCheckpoint(checkpoint).pieces;
    expect(head.length).toBeLessThan(10_000);
    expect(pieces).toHaveLength(3 * layout.slices.length);
    expect(bytesOf([...pieces, values, m, v])).toBe(state); // none of its own

    const [weights] = encodeModel(checkpoint);
    const largest = Math.max(...layout.slices.map(({ size }) => 4 * size));
    let rest = 0;
    for (const piece of weights.pieces) {
      const own = piece.buffer !== values.buffer;
      if (own) rest = Math.max(rest, piece.buffer.byteLength);
    }
    expect(rest).toBeLessThanOrEqual(Math.max(largest, head.length));

    // The GPU's last array is read through one buffer more.
    const needed = state - gaps + (on ? 4 * P : 0);
    expect(hostBytes(config, dims, name)).toBeGreaterThanOrEqual(needed);
  },
);

test("pieces make the file that is read back", async () => {
  const checkpoint = await saved(device);
  const folder = temporaryFolder();
  const { name, bytes } = encodeCheckpoint(checkpoint);
  writeFileSync(join(folder, name), bytes);
  const back = loadCheckpoint(folder);
  for (const key of ["values", "m", "v"] as const) expect(back[key]).toEqual(checkpoint[key]);
});

test("a header that could not be read back is refused before the first piece", () => {
  const long = { a: "x".repeat(MAX_HEADER) };
  expect(() => safetensorsPieces([], long)).toThrow(/header .* \d+ bytes/);
  expect(joined([Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3)])).toEqual(
    Uint8Array.of(1, 2, 3),
  );
});
