// A model of microgpt's shape as JSON: a folder of weights.json and meta.json, or one file that has both.

import { type Model, ModelFile, toText } from "../../files/model_files.ts";
import { dimsOf, ParameterLayout } from "../../model/parameters.ts";
import { isObject } from "../../strict_json.ts";
import { type ForeignFolder, type Json, jsonOf } from "../folder.ts";
import type { Exported } from "../formats.ts";
import type { Imported } from "../imported.ts";
import { bad, metaOf, readMeta } from "./meta.ts";
import { readRows, weightsText } from "./rows.ts";

export const JSON_WEIGHTS = "weights.json";
export const META_FILE = "meta.json";

/** @throws UserError if the model is none of microgpt's shape and characters */
export function exportWeightsJson(model: Model): Exported {
  const utf8 = new TextEncoder();
  const meta = ModelFile.ofText(META_FILE, toText(metaOf(model, "weights-json")));
  const pieces = {
    *[Symbol.iterator]() {
      for (const text of weightsText(model)) yield utf8.encode(text);
      yield utf8.encode("\n");
    },
  };
  return {
    files: [new ModelFile(JSON_WEIGHTS, pieces), meta],
    notes: [],
  };
}

/** @throws ModelFileError if anything about the files is wrong */
export function importWeightsJson(folder: ForeignFolder): Imported {
  const why = "which should hold its sizes and characters";
  const meta = jsonOf(folder, META_FILE, why);
  const weights = jsonOf(folder, JSON_WEIGHTS, "which should hold its weights");
  return fromParts(meta, weights, `${folder.path}/${META_FILE}`, `${folder.path}/${JSON_WEIGHTS}`);
}

/** What a line behind microgpt.py writes, see the sentence below. */
const PARTS = "state_dict";

/** @throws ModelFileError if the file does not hold both, or anything about them is wrong */
export function importStateDict(file: Json, source: string): Imported {
  const { [PARTS]: weights, ...meta } = file;
  if (!isObject(weights)) {
    throw bad(
      source,
      `has no "${PARTS}", "uchars", "n_layer", "n_embd", "n_head" and "block_size", so it is not known what the model ` +
        `is. This behind microgpt.py writes them all: json.dump(dict(uchars=uchars, n_layer=n_layer, n_embd=n_embd, ` +
        `n_head=n_head, block_size=block_size, state_dict={k: [[p.data for p in row] for row in rows] for k, rows in ` +
        `state_dict.items()}), open("microgpt.json", "w"))`,
    );
  }
  return fromParts(meta, weights, source, source);
}

/** @param metaSource,source the files of both, for the messages */
export function fromParts(meta: Json, weights: Json, metaSource: string, source: string): Imported {
  const { tokenizer, config, step } = readMeta(meta, metaSource);
  if (config.n_layer > Object.keys(weights).length) {
    throw bad(source, `has fewer tensors than n_layer ${config.n_layer} says`);
  }
  const layout = new ParameterLayout(dimsOf(config, tokenizer.vocab_size));
  const values = readRows(weights, layout, source);
  return { model: { config, tokenizer, step, layout, values }, notes: [] };
}
