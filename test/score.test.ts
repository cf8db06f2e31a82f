// What a model expects after each token of a text that is there.

import { expect, test } from "vitest";
import { CpuDecoder } from "../src/generation/cpu_decoder.ts";
import type { Decoder } from "../src/generation/decoder.ts";
import { GpuDecoder } from "../src/generation/gpu_decoder.ts";
import { resolveConfig } from "../src/config.ts";
import { dimsOf, initialParameters } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import { relativeError } from "../src/verify/compare.ts";
import { device } from "./harness/device.ts";

const V = 11;
const config = resolveConfig("microgpt", { n_embd: 12, n_head: 3, n_layer: 2, block_size: 9 });
const dims = dimsOf(config, V);
const params = initialParameters(config, dims, new PythonRandom(3));
const tokens = [10, 3, 1, 4, 1, 5, 9, 2, 6];

/** All rows, copied as they come. */
async function scores(decoder: Decoder, of: number[], signal?: AbortSignal) {
  const rows: number[][] = [];
  for await (const row of decoder.score(of, signal)) rows.push(Array.from(row));
  return rows;
}

test("every token's row is what follows it, the same with what comes after it and without", async () => {
  const cpu = new CpuDecoder(config, dims, params);
  const gpu = await GpuDecoder.fromValues(device, config, dims, params);
  const [expected, found] = [await scores(cpu, tokens), await scores(gpu, tokens)];
  expect(expected.map(({ length }) => length)).toEqual(tokens.map(() => V));
  expect(found.length).toBe(tokens.length);
  found.forEach((row, t) => {
    expect(relativeError(Float32Array.from(row), expected[t])).toBeLessThan(1e-5);
  });
  for (const decoder of [cpu, gpu]) {
    expect(await scores(decoder, tokens.slice(0, 4))).toEqual(
      (await scores(decoder, tokens)).slice(0, 4),
    );
    expect(await scores(decoder, tokens, AbortSignal.abort())).toEqual([]);
    decoder.destroy();
  }
});
