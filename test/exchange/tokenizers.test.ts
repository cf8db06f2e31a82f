// Tokenizers as tokenizer.json: Hugging Face's reader makes our ids of every text, and of every conversation.

import { Template } from "@huggingface/jinja";
import { Tokenizer as Reader } from "@huggingface/tokenizers";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  readTokenizerJson,
  tokenizerJson,
  tokenizerNotes,
} from "../../src/exchange/huggingface/tokenizer_files.ts";
import { chatTokens, turnTokens } from "../../src/text/chat.ts";
import type { Conversation } from "../../src/text/conversation.ts";
import { CharTokenizer } from "../../src/tokenizer/char.ts";
import type { Tokenizer, TokenizerFile } from "../../src/tokenizer/tokenizer.ts";
import { WordTokenizer } from "../../src/tokenizer/word.ts";
import { texts } from "../tokenizer/samples.ts";
import { bpe, chars, chat, modelOf, shapes, words } from "./folders.ts";

const clone = (file: TokenizerFile) => JSON.parse(JSON.stringify(file));
const lines = { format: "lines" } as const;
const stream = { format: "text" } as const;
const plain = { add_special_tokens: false };

const known: [string, Tokenizer, fc.Arbitrary<string>][] = [
  ["characters", chars, fc.array(fc.constantFrom(...chars.chars)).map((some) => some.join(""))],
  [
    "words",
    words,
    fc
      .array(fc.oneof(texts, fc.constantFrom("the", " cat", "'s", "__proto", "##", "#", "s ")))
      .map((some) => some.join("")),
  ],
  ["bpe", bpe, texts],
];

describe.each(known)("%s", (_, tokenizer, some) => {
  test("ids are ours, of any text", () => {
    const reader = new Reader(clone(tokenizerJson(tokenizer, stream)), {});
    const property = fc.property(some, (text) => {
      expect(reader.encode(text.toWellFormed(), plain).ids).toEqual([
        ...tokenizer.encode(text.toWellFormed()),
      ]);
    });
    fc.assert(property, { numRuns: 500 });
  });

  test("a document begins with BOS, a stream does not", () => {
    const text = "s os";
    const own = [...tokenizer.encode(text)];
    const ids = (config: typeof lines | typeof stream) =>
      new Reader(clone(tokenizerJson(tokenizer, config)), {}).encode(text).ids;
    expect(ids(lines)).toEqual([tokenizer.bos, ...own]);
    expect(ids(stream)).toEqual(own);
  });

  test("reads back as what it was, with special tokens too", () => {
    for (const one of [tokenizer, tokenizer.withSpecial(chat)]) {
      const back = readTokenizerJson(clone(tokenizerJson(one, lines)));
      expect(back.constructor).toBe(one.constructor);
      expect(back.toJSON()).toEqual(one.toJSON());
      expect([...back.special]).toEqual([...one.special]);
    }
  });

  test("a conversation is ours by its template", () => {
    const chatting = tokenizer.withSpecial(chat);
    const model = modelOf({ ...shapes.qwen3, format: "chat" }, chatting);
    const file = tokenizerJson(chatting, model.config);
    const { config } = tokenizerNotes(model, file);
    const talk: Conversation = [
      { role: "system", content: "so" },
      { role: "user", content: "  bob\n" },
      { role: "assistant", content: "9 os" },
      { role: "user", content: "" },
    ];
    const rendered = new Template(config.chat_template!).render({
      messages: talk,
      bos_token: config.bos_token,
      add_generation_prompt: true,
    });
    const reader = new Reader(clone(file), config);
    const turns = talk.flatMap((turn) => turnTokens(chatting, turn));
    const answer = chatting.special.get(chatTokens([talk])[1])!;
    expect(reader.encode(rendered, plain).ids).toEqual([chatting.bos, ...turns, answer]);
    expect(config.eos_token).toBe("<|end_turn|>");
    expect(config.additional_special_tokens).toEqual(["<|user|>", "<|assistant|>", "<|system|>"]);
  });
});

test("a text of characters comes back as it was, and of words with spaces that we leave out", () => {
  const read = (tokenizer: Tokenizer) => new Reader(clone(tokenizerJson(tokenizer, stream)), {});
  const text = "bos\n 9 é😀'";
  expect(read(chars).decode([...chars.encode(text)])).toBe(text);
  expect(read(words).decode([...words.encode("the cat , ( cat")])).toBe("the cat, <|unk|> cat");
});

test("what is no character of ours is unknown to both", () => {
  expect(() => chars.encode("x")).toThrow(/no token for "x"/);
  const reader = new Reader(clone(tokenizerJson(chars, stream)), {});
  expect(reader.encode("x", plain).ids).toEqual([undefined]);
});

test("the name of BOS is no text: a word may be it", () => {
  const file = tokenizerJson(chars, lines);
  expect(file.added_tokens).toMatchObject([{ id: 10, content: "<|bos|>", special: true }]);
  expect(new Reader(clone(file), {}).encode("bos", plain).ids).toEqual([5, 6, 7]);
});

test("one that only looks like ours is read as it is", () => {
  const file = clone(tokenizerJson(chars, lines));
  for (const changes of [{ normalizer: { type: "NFC" } }, { decoder: null }]) {
    const back = readTokenizerJson({ ...file, ...changes });
    expect(back).not.toBeInstanceOf(CharTokenizer);
    expect(back.encode("bob")).toEqual([5, 6, 5]);
  }
  const worded = clone(tokenizerJson(words, lines));
  worded.model.max_input_chars_per_word = 100;
  expect(readTokenizerJson(worded)).not.toBeInstanceOf(WordTokenizer);
});
