// Small models of Llama's and Qwen3's shape, and their GGUF files.

import { type Config, resolveConfig } from "../../src/config.ts";
import { exportGguf } from "../../src/exchange/gguf/export.ts";
import { importGguf } from "../../src/exchange/gguf/import.ts";
import { sourceOf } from "../../src/files/byte_source.ts";
import type { Model } from "../../src/files/model_files.ts";
import { dimsOf, initialParameters, ParameterLayout } from "../../src/model/parameters.ts";
import { PythonRandom } from "../../src/random.ts";
import { CharTokenizer } from "../../src/tokenizer/char.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { qwen } from "../harness/shapes.ts";
import { train } from "../tokenizer/samples.ts";

export const llama = {
  ...qwen,
  qk_norm: false,
  tie_embeddings: false,
  n_layer: 2,
  n_embd: 16,
  n_head: 4,
};
export const qwen3 = { ...qwen, n_layer: 2, n_embd: 16, n_head: 4, head_dim: 6, mlp_hidden: 24 };
export const bpe = train("She sells sea shells by the sea shore. 1234 shells!", {
  vocab_size: 280,
});
const peppers = "Peter Piper picked 12345 pickled peppers.\n\nWow!";
export const gpt4 = train(peppers, { vocab_size: 270 }, "gpt4").withSpecial([
  "<|user|>",
  "<|assistant|>",
  "<|end_turn|>",
]);
const chars = CharTokenizer.fromDocuments(["abc, \n~éèß漢字\u{1F600}\u{1F601}"]);

export function modelOf(settings: Partial<Config>, tokenizer: Tokenizer): Model {
  const own = { rope_theta: 12_345.6, rmsnorm_eps: 1e-6, temperature: 0.7, ...settings };
  const config = resolveConfig("microgpt", own);
  const dims = dimsOf(config, tokenizer.vocab_size);
  const layout = new ParameterLayout(dims);
  const values = Float32Array.from(initialParameters(config, dims, new PythonRandom(7)));
  return { config, tokenizer, step: 12, layout, values };
}

export const models: [string, Model][] = [
  ["llama, bpe", modelOf({ ...llama, format: "text", tokenizer: "bpe" }, bpe)],
  ["llama, tied", modelOf({ ...llama, tie_embeddings: true, tokenizer: "char" }, chars)],
  ["qwen3, chat", modelOf({ ...qwen3, format: "chat", tokenizer: "bpe" }, gpt4)],
  ["qwen3, untied", modelOf({ ...qwen3, tie_embeddings: false, tokenizer: "bpe" }, bpe)],
];

export const written = (model: Model, half = false) => exportGguf(model, { half }).files[0].bytes;
export const read = (bytes: Uint8Array) => importGguf(sourceOf("model.gguf", bytes)).model;
