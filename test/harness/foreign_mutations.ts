// Folders in Hugging Face's layout and of JSON, changed at random, and imported. test/bench/mutations.ts does so for long.

import { UserError } from "../../src/errors.ts";
import { importHuggingFace } from "../../src/exchange/huggingface/read_folder.ts";
import { exportHuggingFace } from "../../src/exchange/huggingface/write_folder.ts";
import type { ForeignFolder } from "../../src/exchange/folder.ts";
import type { Imported } from "../../src/exchange/imported.ts";
import { exportWeightsJson, importWeightsJson } from "../../src/exchange/microgpt/weights_json.ts";
import { encodeModel } from "../../src/files/model_files.ts";
import { PythonRandom } from "../../src/random.ts";
import {
  bpe,
  chars,
  chat,
  type Files,
  filesOf,
  folderOf,
  jsonOf,
  modelOf,
  shapes,
  words,
} from "../exchange/folders.ts";
import { byteFallback, byteLevel, unigram, wordPiece } from "../tokenizer/foreign.ts";
import { mutatedJson } from "./mutations.ts";

type Read = (folder: ForeignFolder) => Imported;

const models = [
  modelOf(shapes.llama),
  modelOf(shapes.qwen3, words),
  modelOf({ ...shapes.qwen3, format: "chat" }, chars.withSpecial(chat)),
  modelOf(shapes.nanochat, bpe),
];

const tokenizers: object[] = [
  byteLevel("one two one two three"),
  byteFallback(),
  unigram(),
  wordPiece(),
];

const sharded = filesOf(exportHuggingFace(models[0], { half: false }, 1000));

const folders: [files: Files, names: string[], read: Read][] = [
  ...models.map((model): [Files, string[], Read] => {
    const files = filesOf(exportHuggingFace(model, { half: false }));
    return [files, ["config.json", "tokenizer.json", "model.safetensors"], importHuggingFace];
  }),
  ...tokenizers.map((tokenizer): [Files, string[], Read] => {
    const files = filesOf(exportHuggingFace(models[0], { half: false }));
    const file = new TextEncoder().encode(JSON.stringify(tokenizer));
    return [new Map([...files, ["tokenizer.json", file]]), ["tokenizer.json"], importHuggingFace];
  }),
  [sharded, ["model.safetensors.index.json", [...sharded.keys()][1]], importHuggingFace],
  [
    filesOf(exportWeightsJson(modelOf(shapes.microgpt))),
    ["weights.json", "meta.json"],
    importWeightsJson,
  ],
];

/** A file with something changed: JSON by its parts, of safetensors the header, and now and then any byte. */
function mutated(files: Files, name: string, random: PythonRandom): Uint8Array {
  const bytes = files.get(name)!;
  const utf8 = new TextEncoder();
  const at = Math.floor(random.random() * bytes.length);
  if (random.random() < 0.1) return bytes.with(at, Math.floor(random.random() * 256));
  if (random.random() < 0.03) return bytes.subarray(0, at);
  if (name.endsWith(".json")) return utf8.encode(mutatedJson(jsonOf(files, name), random));
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const changed = utf8.encode(mutatedJson(header, random));
  const file = new Uint8Array(8 + changed.length + bytes.length - 8 - length);
  new DataView(file.buffer).setUint32(0, changed.length, true);
  file.set(changed, 8);
  file.set(bytes.subarray(8 + length), 8 + changed.length);
  return file;
}

/**
 * Imports so many changed folders.
 * @returns how many were models all the same, what was said of the others, and the longest time, in ms, that one took
 * @throws whatever is thrown that is no UserError, with the file that did it
 */
export function runMutations(count: number, seed: number) {
  const random = new PythonRandom(seed);
  const sentences = new Set<string>();
  let models = 0;
  let longest = 0;
  for (let i = 0; i < count; i++) {
    const [files, names, read] = folders[i % folders.length];
    const name = names[Math.floor(random.random() * names.length)];
    const bytes = mutated(files, name, random);
    const start = performance.now();
    try {
      const { model } = read(folderOf(new Map([...files, [name, bytes]])));
      model.tokenizer.decode(model.tokenizer.encode("b"));
      encodeModel(model);
      models++;
    } catch (error) {
      if (!(error instanceof UserError)) {
        const text = new TextDecoder().decode(bytes);
        throw new Error(`change ${i} of ${name}: ${text.slice(0, 20_000)}`, { cause: error });
      }
      sentences.add(error.message);
    }
    longest = Math.max(longest, performance.now() - start);
  }
  return { models, sentences, longest };
}
