// Tokenizers of others that go into a GGUF and come back as they were; and what llama.cpp has no name for.

import { expect, test } from "vitest";
import { ModelFileError } from "../../src/errors.ts";
import { patterns } from "../../src/tokenizer/pretokens.ts";
import { tokenizerFromJSON } from "../../src/tokenizer/file.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { byteFallback, byteLevel, gpt2, unigram, wordPiece } from "../tokenizer/foreign.ts";
import { bpe, modelOf, qwen3, read, written } from "./gguf_models.ts";

type Json = Record<string, any>;

const prose =
  "It's 12345 o'clock, SHE'S late: she sells sea-shells!  \n\n tab\there, été 漢字 \u{1F600}.\r\n";
const onBytes = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true };
const split = (Regex: string) => ({
  type: "Split",
  pattern: { Regex },
  behavior: "Isolated",
  invert: false,
});
const sequence = (...steps: object[]) => ({
  type: "Sequence",
  pretokenizers: [...steps, { ...onBytes, use_regex: false }],
});
const ofQwen =
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}` +
  String.raw`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const ofLlama = ofQwen.replace(String.raw`\p{N}|`, String.raw`\p{N}{1,3}|`);

const others: [string, Json, string][] = [
  ["GPT-2's", gpt2(prose), "gpt-2"],
  ["ours with GPT-4's pattern", byteLevel(prose, "gpt4"), "dbrx"],
  [
    "Llama 3's",
    changed({ pre_tokenizer: sequence(split(ofLlama)) }, { ignore_merges: true }),
    "llama-bpe",
  ],
  [
    "Qwen's",
    changed({ normalizer: { type: "NFC" }, pre_tokenizer: sequence(split(ofQwen)) }),
    "qwen2",
  ],
  [
    "SmolLM's",
    changed({
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [{ type: "Digits", individual_digits: true }, onBytes],
      },
    }),
    "smollm",
  ],
  [
    "one with digits by a pattern",
    changed({ pre_tokenizer: sequence(split(String.raw`\p{N}`), split(patterns.gpt2)) }),
    "smollm",
  ],
];

function changed(parts: Json, model: Json = {}): Json {
  const file = byteLevel(prose);
  const think = {
    id: Object.keys(file.model.vocab).length + 1,
    content: "<think>",
    special: false,
  };
  return {
    ...file,
    ...parts,
    added_tokens: [...file.added_tokens, think],
    model: { ...file.model, ...model },
  };
}

const saved = (tokenizer: Tokenizer) =>
  written(modelOf({ ...qwen3, tokenizer: "file" }, tokenizer));

test.each(others)("%s comes back, by the name that llama.cpp has for it", (_, file, name) => {
  const tokenizer = tokenizerFromJSON(file);
  const bytes = saved(tokenizer);
  const key = `tokenizer.ggml.pre\x08\0\0\0${length(name)}${name}`;
  expect(Buffer.from(bytes).includes(key)).toBe(true);
  const again = read(bytes).tokenizer;
  expect(again.constructor).toBe(tokenizer.constructor);
  expect(again.special).toEqual(tokenizer.special);
  expect(again.vocab_size).toBe(tokenizer.vocab_size);
  for (const text of [prose, `a <think> b${prose}`, "aa  bb\n\n\ncc 1234567"]) {
    expect([...again.encode(text)]).toEqual([...tokenizer.encode(text)]);
  }
});

/** As the format has it before a text. */
const length = (text: string) => String.fromCharCode(text.length) + "\0".repeat(7);

test.each<[string, Json, string]>([
  ["BERT's", wordPiece(), "is of the kind wordpiece"],
  ["T5's", unigram(), "is of the kind unigram"],
  ["Llama 2's", byteFallback(), "changes the text before it is encoded"],
  ["merges that do not count", changed({}, { ignore_merges: true }), "parts a text in a way"],
  [
    "a pattern of one's own",
    changed({ pre_tokenizer: sequence(split("[a-z]+")) }),
    "parts a text in a way",
  ],
  [
    "a space before all",
    changed({ pre_tokenizer: { ...onBytes, add_prefix_space: true } }),
    "parts a text in a way",
  ],
])("llama.cpp has no like of %s", (_, file, sentence) => {
  const write = () => saved(tokenizerFromJSON(file));
  expect(write).toThrow(ModelFileError);
  expect(write).toThrow(sentence);
  expect(write).toThrow("Train with tokenizer bpe");
});

test("a token that begins documents is known by its name where no kinds of tokens are told", () => {
  const file = saved(bpe);
  file[Buffer.from(file).indexOf("tokenizer.ggml.token_type")] = "x".charCodeAt(0);
  const { tokenizer } = read(file);
  expect([...tokenizer.special]).toEqual([...bpe.special]);
});
