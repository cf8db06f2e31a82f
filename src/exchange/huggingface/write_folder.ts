// A model as a Hugging Face folder, which transformers and whoever reads its folders opens.

import {
  CONFIG_FILE,
  type Model,
  ModelFile,
  TOKENIZER_FILE,
  toText,
  WEIGHTS_FILE,
} from "../../files/model_files.ts";
import { floatBytes } from "../../files/floats.ts";
import { safetensorsPieces, type Tensor } from "../../files/safetensors.ts";
import { WordTokenizer } from "../../tokenizer/word.ts";
import { llamaShape } from "../architecture.ts";
import { checkWeights } from "../check_weights.ts";
import type { Exported, ExportOptions } from "../formats.ts";
import { llamaTensors } from "../llama_tensors.ts";
import { customConfigJson, customTensors, generationJson, llamaConfigJson } from "./config_json.ts";
import { CONFIGURATION_PY, MODELING_PY } from "./modeling_py.ts";
import { INDEX_FILE } from "./read_weights.ts";
import { tokenizerJson, tokenizerNotes } from "./tokenizer_files.ts";

/** Bytes of weights in a file, beyond which there are several. */
const SHARD = 2e9;

/** @throws ModelFileError if a weight is not finite */
export function exportHuggingFace(model: Model, { half }: ExportOptions, shard = SHARD): Exported {
  const shape = llamaShape(model.config);
  const isCustom = typeof shape === "string";
  const dtype = half ? "float16" : "float32";
  const config = isCustom ? customConfigJson(model, dtype) : llamaConfigJson(model, shape, dtype);
  const tokenizer = tokenizerJson(model.tokenizer, model.config);
  const about = tokenizerNotes(model, tokenizer);
  const json = (name: string, value: unknown) => ModelFile.ofText(name, toText(value));
  const files = [
    ...weightFiles(tensorsOf(model, isCustom, half), shard),
    json(TOKENIZER_FILE, tokenizer),
    json("tokenizer_config.json", about.config),
    json("special_tokens_map.json", about.special),
    json("generation_config.json", generationJson(model)),
    ...(isCustom
      ? [
          ModelFile.ofText("configuration_microgpt.py", CONFIGURATION_PY),
          ModelFile.ofText("modeling_microgpt.py", MODELING_PY),
        ]
      : []),
    json(CONFIG_FILE, config),
  ];
  return { files, notes: notesOn(model, shape) };
}

function notesOn({ tokenizer }: Model, shape: object | string): string[] {
  return [
    ...(typeof shape === "string"
      ? [
          `${shape}: the folder brings its own modeling_microgpt.py, and transformers wants trust_remote_code=True to ` +
            `run that.`,
        ]
      : []),
    ...(tokenizer instanceof WordTokenizer
      ? [
          `A tokenizer.json cannot say where words are written without a space: other programs put more of them.`,
        ]
      : []),
  ];
}

function tensorsOf({ layout, values }: Model, isCustom: boolean, half: boolean): Tensor[] {
  const named = isCustom ? customTensors(layout) : llamaTensors(layout);
  const dtype = half ? "F16" : "F32";
  return named.map(({ name, slice: { shape, offset, size } }) => {
    const part = values.subarray(offset, offset + size);
    checkWeights(part, name, half);
    return { name, shape, dtype, values: part };
  });
}

function weightFiles(tensors: readonly Tensor[], shard: number): ModelFile[] {
  const bytesOf = ({ values, dtype = "F32" }: Tensor) => values.length * floatBytes[dtype];
  const shards: Tensor[][] = [[]];
  let room = shard;
  for (const tensor of tensors) {
    const bytes = bytesOf(tensor);
    if (bytes > room && shards.at(-1)!.length > 0) {
      shards.push([]);
      room = shard;
    }
    shards.at(-1)!.push(tensor);
    room -= bytes;
  }
  const metadata = { format: "pt" };
  if (shards.length === 1)
    return [new ModelFile(WEIGHTS_FILE, safetensorsPieces(tensors, metadata))];
  const number = (n: number) => String(n).padStart(5, "0");
  const files = shards.map(
    (tensors, i) =>
      new ModelFile(
        `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`,
        safetensorsPieces(tensors, metadata),
      ),
  );
  const entries = shards.flatMap((tensors, i) => tensors.map(({ name }) => [name, files[i].name]));
  const total_size = tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  const index = { metadata: { total_size }, weight_map: Object.fromEntries(entries) };
  return [...files, ModelFile.ofText(INDEX_FILE, toText(index))];
}
