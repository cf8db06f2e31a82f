// Folders of foreign models in memory, and models to export.

import { type Config, resolveConfig } from "../../src/config.ts";
import type { Exported } from "../../src/exchange/formats.ts";
import type { ForeignFolder } from "../../src/exchange/folder.ts";
import { sourceOf } from "../../src/files/byte_source.ts";
import type { Model } from "../../src/files/model_files.ts";
import { dimsOf, initialParameters, ParameterLayout } from "../../src/model/parameters.ts";
import { PythonRandom } from "../../src/random.ts";
import { CharTokenizer } from "../../src/tokenizer/char.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { trainWords, WordCounts } from "../../src/tokenizer/word.ts";
import { qwen } from "../harness/shapes.ts";
import { train } from "../tokenizer/samples.ts";

export type Files = ReadonlyMap<string, Uint8Array>;

export const filesOf = ({ files }: Exported): Files =>
  new Map(files.map((file) => [file.name, file.bytes]));

export function folderOf(files: Files): ForeignFolder {
  return {
    path: "FOLDER",
    open(name) {
      const bytes = files.get(name);
      return bytes && sourceOf(`FOLDER/${name}`, bytes);
    },
  };
}

export const textOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
export const jsonOf = (files: Files, name: string) =>
  JSON.parse(new TextDecoder().decode(files.get(name)));

/** The files with one of them as JSON, changed. */
export const withJson = (files: Files, name: string, changes: object): Files =>
  new Map([...files, [name, textOf({ ...jsonOf(files, name), ...changes })]]);

export const chars = new CharTokenizer(["\n", " ", "'", "0", "9", "b", "o", "s", "é", "😀"]);
export const chat = ["<|user|>", "<|assistant|>", "<|end_turn|>", "<|system|>"];
const story = "the cat sat. the cat's mat, the 12 cats; 0 __proto 9 don't";
const counts = new WordCounts();
counts.push(story);
export const words = trainWords(counts.end(), 14);
export const bpe = train(story.repeat(3), { vocab_size: 275 });

const small = { n_layer: 2, n_embd: 8, n_head: 4, block_size: 6, init_std: 0.5 } as const;

export const shapes = {
  microgpt: small,
  "microgpt's earlier revision": { ...small, activation: "relu_squared" },
  nanochat: {
    ...small,
    activation: "relu_squared",
    position: "rope",
    qk_norm: true,
    final_norm: true,
    logit_softcap: 3,
  },
  llama: { ...small, ...qwen, qk_norm: false, n_kv_head: 0, mlp_hidden: 12, tie_embeddings: false },
  qwen3: { ...small, ...qwen, head_dim: 6, mlp_hidden: 12 },
} as const satisfies Record<string, Partial<Config>>;

/** With weights that are all different, -0 and the smallest float32 among them. */
export function modelOf(settings: Partial<Config>, tokenizer: Tokenizer = chars): Model {
  const vocab_size = ["bpe", "word"].includes(tokenizer.kind) ? tokenizer.vocab_size : 0;
  const kind = tokenizer.kind as Config["tokenizer"];
  const config = resolveConfig("microgpt", { tokenizer: kind, vocab_size, ...settings });
  const layout = new ParameterLayout(dimsOf(config, tokenizer.vocab_size));
  const random = new PythonRandom(1);
  const values = Float32Array.from(initialParameters(config, layout.dims, random), (x) => {
    return x + random.gauss(0, 0.1);
  });
  values.set([-0, 2 ** -149, 0], 1);
  return { config, tokenizer, step: 7, layout, values };
}
