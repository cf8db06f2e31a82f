// The presets: the sizes of the models that they are named for, and what `bench` measures by their names.

import { expect, test } from "vitest";
import { resolveConfig } from "../src/config.ts";
import { dimsOf, parameterCount } from "../src/model/parameters.ts";
import { type PresetName, presetNotes, presets } from "../src/presets.ts";
import { Training } from "../src/training/train.ts";
import { benchmarkSizes, workload } from "../src/verify/workload.ts";

const parametersOf = (preset: PresetName) =>
  parameterCount(dimsOf(presets[preset], presetNotes[preset].vocab_size));

test("models have as many parameters as those that they are named for", () => {
  expect(parametersOf("microgpt")).toBe(4192);
  expect(parametersOf("microgpt-cosine")).toBe(4064);
  // nanoGPT's 10.65 million are without the embedding of positions.
  const { n_embd, block_size } = presets.shakespeare;
  expect((parametersOf("shakespeare") - n_embd * block_size) / 1e6).toBeCloseTo(10.65, 2);
  expect(parametersOf("llama-15m")).toBe(15_191_712); // stories15M
  expect(parametersOf("llama-110m")).toBe(109_529_856); // stories110M
  expect(parametersOf("qwen3-15m") / 1e6).toBeCloseTo(16, 0);
});

test("a count is that of the tensors, without a table of them all", () => {
  for (const preset of Object.keys(presets) as PresetName[]) {
    const dims = dimsOf(presets[preset], 11);
    const { C, NH, HS, NKV, H, L } = dims;
    const matrices = 2 * C * (NH + NKV) * HS + (dims.mlp_gate ? 3 : 2) * H * C;
    const gains = (dims.norm_gains ? 2 * C : 0) + (dims.head_gains ? 2 * HS : 0);
    const [wte, wpe] = [11 * C * (dims.lm_head ? 2 : 1), dims.wpe ? dims.T * C : 0];
    const all = wte + wpe + L * (matrices + gains) + (dims.final_gain ? C : 0);
    expect(parameterCount(dims)).toBe(all);
  }
});

test("bench measures the old presets at the shape that they had from the beginning", () => {
  const of = (preset: PresetName) => workload(benchmarkSizes(preset));
  expect(benchmarkSizes("shakespeare")).toEqual({
    n_layer: 6,
    n_embd: 384,
    n_head: 6,
    block_size: 256,
    batch_size: 64,
    vocab_size: 65,
  });
  expect(of("shakespeare").config).toMatchObject({ activation: "relu", tie_embeddings: false });
  expect(parameterCount(of("gpt2").dims)).toBe((2 * 50304 + 1024) * 768 + 12 * 12 * 768 ** 2);
  expect(parameterCount(of("llama-15m").dims)).toBe(15_191_712);
  expect(of("qwen3-15m").config).toMatchObject({ qk_norm: true, n_kv_head: 4, position: "rope" });
});

test.each(Object.keys(presets))("%s trains, at a reduced size", async (preset) => {
  const { n_head, n_kv_head } = resolveConfig(preset);
  const config = resolveConfig(preset, {
    n_layer: 1,
    n_embd: 4 * n_head,
    head_dim: 4,
    n_kv_head,
    block_size: 8,
    batch_size: 2,
    mlp_hidden: 12,
    num_steps: 2,
    warmup_steps: 0,
  });
  const documents = Array.from({ length: 20 }, (_, i) => "abcdefghij".slice(i % 5));
  const training = await Training.open({ config, documents, device: "cpu" });
  const losses: number[] = [];
  for await (const event of training.run()) if (event.type === "step") losses.push(event.loss);
  expect(losses).toHaveLength(2);
  for (const loss of losses) expect(loss).toBeLessThan(2 * Math.log(11));
});
