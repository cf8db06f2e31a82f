// Any tokenizer from its JSON: ours of every kind, or a tokenizer.json of Hugging Face.

import { ModelFileError } from "../errors.ts";
import { isObject } from "../strict_json.ts";
import { CharTokenizer } from "./char.ts";
import { HuggingFaceTokenizer } from "./hugging_face.ts";
import { readBpe } from "./read_bpe.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { vocabularyOf } from "./vocabulary.ts";
import { WordTokenizer } from "./word.ts";

/** @throws ModelFileError if `file` is no tokenizer of a kind known here */
export function tokenizerFromJSON(file: unknown): Tokenizer {
  if (!isObject(file)) {
    throw new ModelFileError(
      `The tokenizer file holds no object; needed is one that was written here, or a tokenizer.json of Hugging Face.`,
    );
  }
  if (file.type === "char") return CharTokenizer.fromJSON(file);
  if (file.type === "word") return WordTokenizer.fromJSON(file);
  const vocabulary = vocabularyOf(file);
  return readBpe(file, vocabulary) ?? new HuggingFaceTokenizer(file, vocabulary);
}
