// Tokenizers of others work behind our interface: known ones by our own encoder, the rest by Hugging Face's reader.

import { Tokenizer as Reader } from "@huggingface/tokenizers";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BpeTokenizer } from "../../src/tokenizer/bpe.ts";
import { tokenizerFromJSON } from "../../src/tokenizer/file.ts";
import { HuggingFaceTokenizer } from "../../src/tokenizer/hugging_face.ts";
import { byteFallback, byteLevel, gpt2, unigram, wordPiece } from "./foreign.ts";
import { prose, texts } from "./samples.ts";

const sample = prose(80);
const clone = (value: unknown) => JSON.parse(JSON.stringify(value));
const bytesOf = (text: string) => [...new TextEncoder().encode(text)];

function foreign(file: unknown): HuggingFaceTokenizer {
  const tokenizer = tokenizerFromJSON(file);
  expect(tokenizer).toBeInstanceOf(HuggingFaceTokenizer);
  return tokenizer as HuggingFaceTokenizer;
}

describe("byte-level ones that cut as we do are ours", () => {
  const ours = tokenizerFromJSON(byteLevel(sample));
  const llama3 = byteLevel(sample, "gpt4");
  llama3.pre_tokenizer.pretokenizers[0].pattern.Regex =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

  test("GPT-2's", () => {
    const tokenizer = tokenizerFromJSON(gpt2(sample)) as BpeTokenizer;
    expect(tokenizer).toBeInstanceOf(BpeTokenizer);
    expect([tokenizer.pattern, tokenizer.bos]).toEqual(["gpt2", ours.bos]);
    expect(tokenizer.encode(sample)).toEqual(ours.encode(sample));
    expect(tokenizer.encode(sample)).toEqual(new Reader(gpt2(sample), {}).encode(sample).ids);
  });

  test("Llama 3's", () => {
    const tokenizer = tokenizerFromJSON(llama3) as BpeTokenizer;
    expect(tokenizer).toBeInstanceOf(BpeTokenizer);
    const theirs = new Reader(llama3, {});
    const property = fc.property(texts, (text) => {
      expect(tokenizer.encode(text)).toEqual(theirs.encode(text).ids);
    });
    fc.assert(property, { numRuns: 300 });
  });

  test("those that do more are read by Hugging Face's", () => {
    const file = byteLevel(sample);
    const others = [
      { ...file, normalizer: { type: "NFC" } },
      { ...file, model: { ...file.model, ignore_merges: true } },
      { ...file, pre_tokenizer: { type: "ByteLevel", add_prefix_space: true } },
      {
        ...file,
        added_tokens: [...file.added_tokens, { id: 400, content: "   ", special: false }],
      },
      { ...file, model: { ...file.model, merges: [...file.model.merges, file.model.merges[0]] } },
    ];
    for (const other of others) {
      const tokenizer = foreign(other);
      const expected = new Reader(clone(other), {}).encode(sample).ids;
      expect(tokenizer.encode(sample)).toEqual(expected);
      expect(tokenizer.decode(expected).trim()).toBe(sample.trim());
      const bytes = expected.flatMap((id) => [...tokenizer.bytes(id)]);
      expect(new TextDecoder().decode(Uint8Array.from(bytes)).trim()).toBe(sample.trim());
    }
  });
});

test("Unigram: a special token in a text is text", () => {
  const tokenizer = foreign(unigram());
  expect([tokenizer.kind, tokenizer.bos, tokenizer.start]).toEqual(["unigram", 1, 13]);
  expect(tokenizer.unknown_id).toBe(2);
  const ids = tokenizer.encode("the</s>one two\n");
  expect(ids).not.toContain(1);
  expect(tokenizer.decode([1, ...ids])).toBe("the</s>one two\n");
  expect(new Reader(unigram(), {}).encode("the</s>").ids).toContain(1);
  const [one] = tokenizer.encode("one");
  expect([...tokenizer.bytes(one)]).toEqual(bytesOf(" one"));
  expect(tokenizer.byteLength(1)).toBe(0);
  expect(tokenizer.decode([])).toBe("");
  expect(tokenizer.encode("日")).toContain(2);
});

test("WordPiece: words have the space before them, continued ones none", () => {
  const tokenizer = foreign(wordPiece());
  expect([tokenizer.bos, tokenizer.unknown_id]).toEqual([2, 1]);
  const ids = tokenizer.encode("One [CLS] uned twos.");
  expect(tokenizer.decode(ids)).toBe("one [ cls ] uned twos .");
  expect(Math.min(...ids)).toBeGreaterThan(3);
  const [un, ed] = tokenizer.encode("uned");
  expect([tokenizer.bytes(un), tokenizer.bytes(ed)].map((bytes) => [...bytes])).toEqual([
    bytesOf(" un"),
    bytesOf("ed"),
  ]);
});

test("BPE with a fallback to bytes: a byte's token is one byte", () => {
  const tokenizer = foreign(byteFallback());
  expect([tokenizer.bos, tokenizer.start]).toEqual([1, 3 + 10]);
  const ids = tokenizer.encode("one two é\n");
  expect(tokenizer.decode(ids)).toBe("one two é\n");
  const bytes = ids.flatMap((id) => [...tokenizer.bytes(id)]);
  expect(bytes).toEqual(bytesOf(" one two é\n"));
});

test("a merge that would make a special token of text is left out", () => {
  for (const file of [byteLevel("it is <s> it is"), byteFallback()]) {
    const { model } = file;
    const id = Object.keys(model.vocab).length;
    const tokens = ["<", "s", ">", "<s", "<s>"].filter((token) => !(token in model.vocab));
    tokens.forEach((token, i) => (model.vocab[token] = id + i));
    const added = { content: "<s>", special: true, id: model.vocab["<s>"] };
    file.added_tokens = [
      ...file.added_tokens.filter(({ content }: any) => content in model.vocab),
      added,
    ];
    model.merges.push(["<", "s"], ["<s", ">"]);
    const tokenizer = tokenizerFromJSON(file);
    expect(tokenizer.bos).toBe(model.vocab["<s>"]);
    const ids = tokenizer.encode("<s>");
    expect(ids).not.toContain(tokenizer.bos);
    expect(tokenizer.decode(ids)).toBe("<s>");
  }
});

describe("long texts are read in parts that change nothing", () => {
  test.for([
    ["Unigram", unigram()],
    ["WordPiece", wordPiece()],
    ["BPE with a fallback to bytes", byteFallback()],
  ] as const)("%s", ([, file]) => {
    const tokenizer = foreign(file);
    const text = "one two the two ones one two\n".repeat(600);
    const whole = new Reader(clone(file), {});
    const { ids } = whole.encode(text, { add_special_tokens: false });
    expect(tokenizer.encode(text)).toEqual(ids);
    expect([...tokenizer.encoding(text)].length).toBeGreaterThan(1);
    const { end, next } = tokenizer.certain(text);
    expect(end).toBeGreaterThan(text.length / 2);
    const parts = [text.slice(0, end), text.slice(next)];
    expect(parts.flatMap((part) => tokenizer.encode(part))).toEqual(ids);
  });
});

test("a document begins with the special token of a known name, whatever words have one as well", () => {
  const file = gpt2("bos ".repeat(9));
  expect(Object.keys(file.model.vocab)).toContain("bos");
  file.model.vocab["<s>"] = file.added_tokens[0].id + 1;
  const tokenizer = tokenizerFromJSON(file) as BpeTokenizer;
  expect([...tokenizer.special]).toEqual([["<|endoftext|>", tokenizer.bos]]);
  expect(tokenizer.bos).toBe(file.added_tokens[0].id);
  expect(tokenizer.encode("bos")).toEqual([file.model.vocab.bos]);
});

test("a special token that is asked for twice is one", () => {
  const files = [
    { type: "char", chars: ["a"], special_tokens: { bos: 1 } },
    { type: "word", words: ["a"], special_tokens: { "<|bos|>": 2 } },
    byteLevel(sample),
    unigram(),
  ];
  for (const file of files) {
    const tokenizer = tokenizerFromJSON(file);
    const more = tokenizer.withSpecial(["<|user|>", "<|user|>"]);
    expect(more.vocab_size).toBe(tokenizer.vocab_size + 1);
    expect(more.special.get("<|user|>")).toBe(tokenizer.vocab_size);
    expect(more.withSpecial(["<|user|>"]).vocab_size).toBe(more.vocab_size);
  }
});

test("more special tokens follow, and the file has them", () => {
  for (const file of [unigram(), wordPiece(), gpt2(sample)]) {
    const tokenizer = tokenizerFromJSON(file);
    const { vocab_size } = tokenizer;
    const more = tokenizer.withSpecial(["<|user|>", "<|end_turn|>"]);
    expect(more.vocab_size).toBe(vocab_size + 2);
    const back = tokenizerFromJSON(clone(more));
    expect([...back.special]).toEqual([...more.special]);
    expect(back.special.get("<|end_turn|>")).toBe(vocab_size + 1);
    expect(Math.max(...back.encode("one<|user|>"))).toBeLessThan(vocab_size);
    expect(back.decode([...back.encode("one"), vocab_size])).toBe("one");
  }
});
