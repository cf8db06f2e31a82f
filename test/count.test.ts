// Sentences that count: one of a thing in the singular, in whatever sentence it stands.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { conflicts } from "../src/config/conflicts.ts";
import { corpusOf } from "../src/text/read_corpus.ts";
import { splitTokens } from "../src/text/split.ts";
import { CharTokenizer } from "../src/tokenizer/char.ts";
import { resumedConfig } from "../src/training/resume.ts";

function split(documents: string[], overrides: Partial<Config>) {
  const config = resolveConfig("microgpt", overrides);
  const corpus = corpusOf(documents, config.format);
  return () => splitTokens(config, corpus.tokens(config.block_size, undefined, config));
}

test("one document, one token, one character, one step", () => {
  expect(split(["anna"], { val_fraction: 0.1 })).toThrow("The text has 1 document, and");
  expect(split(["anna", "otto"], { val_fraction: 0.1 })).toThrow("The text has 2 documents, and");
  expect(split(["a"], { format: "text" })).toThrow("The text has 1 token, and");
  const one = new CharTokenizer(["a"]);
  expect(() => one.encode("b")).toThrow(`it knows the 1 character "a" it was`);
  const config = resolveConfig("microgpt", { num_steps: 2000 });
  expect(() =>
    resumedConfig(
      { config, step: 2000, validated: true, best: null, asked_vocab_size: 0 },
      { num_steps: 1999 },
    ),
  ).toThrow("has done 2,000 steps already");
});

test("conflicts between settings are told all at once, and none where one of the two is missing", () => {
  const wrong = { n_embd: 10, n_head: 4, eval_every: 5, val_fraction: 0 };
  expect(conflicts(wrong).map(({ setting }) => setting)).toEqual(["n_embd", "eval_every"]);
  expect(conflicts({ n_embd: 10, eval_every: 5 })).toEqual([]);
});
