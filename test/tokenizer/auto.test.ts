// What `auto` chooses, and why.

import { expect, test } from "vitest";
import { chooseTokenizer, vocabSizeFor } from "../../src/tokenizer/auto.ts";

test.for([
  [12_000, 27, { tokenizer: "char", why: "it has 27 different characters" }],
  [1_115_394, 65, { tokenizer: "char", why: "it has 65 different characters" }],
  [99_999, 3000, { tokenizer: "char", why: "it has only 99,999 characters" }],
  [100_000, 3000, { tokenizer: "bpe", vocab_size: 512, why: "it has 3,000 different characters" }],
  [2_000_000, 65, { tokenizer: "bpe", vocab_size: 1024, why: "it has 2,000,000 characters" }],
  [10 ** 9, 700, { tokenizer: "bpe", vocab_size: 32_768, why: "it has 700 different characters" }],
] as const)("%i characters, %i of them different", ([length, alphabet, chosen]) => {
  expect(chooseTokenizer(length, alphabet)).toEqual(chosen);
});

test("a vocabulary grows with the square root of the text", () => {
  const sizes = [10 ** 5, 10 ** 6, 10 ** 7, 10 ** 8, 10 ** 11].map(vocabSizeFor);
  expect(sizes).toEqual([512, 1024, 4096, 8192, 32_768]);
});
