// The token that begins and ends a document, by the names that it has in files.

/** Its name in tokenizers that are trained here. */
export const BOS = "<|bos|>";

/** Its name in those of characters. */
export const CHARACTERS_BOS = "bos";

/** Those that begin a document first; where a tokenizer has none of them, one that ends it does both. */
export const bosNames: readonly string[] = [
  BOS,
  "<bos>",
  "<s>",
  "[BOS]",
  "<|begin_of_text|>",
  "<|startoftext|>",
  "<|endoftext|>",
  "<|end_of_text|>",
  "<eos>",
  "</s>",
  "[EOS]",
  "<|im_end|>",
  "[CLS]",
  "[SEP]",
];
