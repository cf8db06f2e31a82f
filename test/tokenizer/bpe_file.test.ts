// Hugging Face's own reader encodes with our file as we do, and we read it back.

import { Tokenizer as HuggingFace } from "@huggingface/tokenizers";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BpeTokenizer } from "../../src/tokenizer/bpe.ts";
import { readBpe } from "../../src/tokenizer/read_bpe.ts";
import { vocabularyOf } from "../../src/tokenizer/vocabulary.ts";
import { prose, strings, texts, train } from "./samples.ts";

const throughJson = (value: unknown) => JSON.parse(JSON.stringify(value));

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

describe.for(["gpt2", "gpt4"] as const)("%s", (pattern) => {
  const special = ["<|user|>", "<|end_turn|>"];
  const tokenizer = train(prose(200), { vocab_size: 600, special }, pattern);
  const file = throughJson(tokenizer);
  const theirs = new HuggingFace(file, {});
  const idsOf = (text: string) => theirs.encode(text).ids;

  test("real text, emoji, white space, contractions and every byte have the same ids there", () => {
    const samples = [
      prose(300),
      readme,
      "I'll I'LL i'Ll we've WE'VE they're THEY'RE 's 'S 't'd'm don't DON'T o'clock 'llama",
      " \t\n\r\n\v\f\u0085\u00a0\u1680\u2003\u2028\u3000\ufeff \n \n\n  a   \n",
      "👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301 \u{1d7d8} ½ Ⅷ ٣٤٥٦ 12345678 1,234.5",
      String.fromCharCode(...Array(256).keys()),
      "x".repeat(3000),
    ];
    for (const text of samples) expect(idsOf(text)).toEqual(tokenizer.encode(text));
  });

  test("10,000 random strings, half of them for each pattern, have the same ids there", () => {
    const property = fc.property(fc.oneof(texts, strings), (text) => {
      expect(idsOf(text)).toEqual(tokenizer.encode(text));
    });
    fc.assert(property, { numRuns: 5000 });
  });

  test("the ids mean the same text there, special tokens have the same ids", () => {
    const ids = tokenizer.encode(prose(5));
    const kept = { skip_special_tokens: true, clean_up_tokenization_spaces: false };
    expect(theirs.decode([tokenizer.bos, ...ids], kept)).toBe(tokenizer.decode(ids));
    expect(theirs.encode("<|user|>hi<|end_turn|>").ids).toEqual([
      tokenizer.special.get("<|user|>"),
      ...tokenizer.encode("hi"),
      tokenizer.special.get("<|end_turn|>"),
    ]);
  });

  test("it is read back as it was", () => {
    const back = readBpe(file, vocabularyOf(file))!;
    expect(back).toBeInstanceOf(BpeTokenizer);
    expect(throughJson(back)).toEqual(file);
    expect([back.bos, back.vocab_size, back.pattern]).toEqual([tokenizer.bos, 600, pattern]);
    expect(back.encode(prose(9))).toEqual(tokenizer.encode(prose(9)));
  });
});
