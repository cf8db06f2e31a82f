// Any tokenizer from its JSON.

import { CharTokenizer } from "./char.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** @throws ModelFileError if `file` is no tokenizer of a kind known here */
export function tokenizerFromJSON(file: unknown): Tokenizer {
  return CharTokenizer.fromJSON(file);
}
