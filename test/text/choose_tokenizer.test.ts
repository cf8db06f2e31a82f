// Which tokenizer `auto` is, why, and how many tokens are learnt.

import { expect, test } from "vitest";
import { chooseTokenizer } from "../../src/text/choose_tokenizer.ts";

const text = (num_chars: number, length: number) => ({
  size: { num_chars },
  tokenizer: { chars: { length } },
});

test.for([
  [12_000, 27, "char", 0, "it has 27 different characters"],
  [1_115_394, 65, "char", 0, "it has 65 different characters"],
  [99_999, 3000, "char", 0, "it has only 99,999 characters"],
  [100_000, 3000, "bpe", 512, "it has 3,000 different characters"],
  [2_000_000, 65, "bpe", 1024, "it has 2,000,000 characters"],
  [10 ** 9, 700, "bpe", 32_768, "it has 700 different characters"],
] as const)(
  "%i characters, %i of them different",
  ([length, alphabet, tokenizer, vocab_size, tokenizer_reason]) => {
    const asked = { tokenizer: "auto", vocab_size: 0 } as const;
    const chosen = { tokenizer, vocab_size, tokenizer_reason };
    expect(chooseTokenizer(asked, text(length, alphabet))).toEqual(chosen);
  },
);

test("a vocabulary grows with the square root of the text, and the model's channels bound it", () => {
  const asked = { tokenizer: "word", vocab_size: 0 } as const;
  const lengths = [10 ** 5, 10 ** 6, 10 ** 7, 10 ** 8, 10 ** 11];
  const sizes = (n_embd?: number) =>
    lengths.map((length) => chooseTokenizer({ ...asked, n_embd }, text(length, 9)).vocab_size);
  expect(sizes()).toEqual([512, 1024, 4096, 8192, 32_768]);
  expect(sizes(32)).toEqual([512, 1024, 2048, 2048, 2048]);
});
