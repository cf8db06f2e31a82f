// A text in other tokens than characters: learnt, encoded in parts, resumed, and kept with the model.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ConfigChoice, resolveConfig, unsaidIn } from "../../src/config.ts";
import type { PrepareEvent } from "../../src/training/events.ts";
import { ConfigError, DataError, UnknownCharacterError } from "../../src/errors.ts";
import { decodeCheckpoint, encodeCheckpoint } from "../../src/files/checkpoint.ts";
import { bitsPerByte, sizeOfTargets } from "../../src/text/bits_per_byte.ts";
import { chooseTokenizer } from "../../src/text/choose_tokenizer.ts";
import { textFacts } from "../../src/text/facts.ts";
import { fromText } from "../../src/text/read_corpus.ts";
import { CharTokenizer } from "../../src/tokenizer/char.ts";
import { tokenPieces } from "../../src/tokenizer/pieces.ts";
import { encodePrompt } from "../../src/tokenizer/prompt.ts";
import { TextStream } from "../../src/tokenizer/text_stream.ts";
import { resumedConfig } from "../../src/training/resume.ts";
import { tokenize } from "../../src/training/tokenize.ts";
import { Training } from "../../src/training/train.ts";

const rhyme = "Rain on the roof, rain on the road; l'été 12345 \u{1F469}\u200D\u{1F680}.\n";
const text = rhyme.repeat(40);
const base = resolveConfig("microgpt", { format: "text", block_size: 8, n_embd: 8, num_steps: 2 });

const inTokens = (source: string, overrides: Partial<ConfigChoice>, format = "text" as const) =>
  tokenize(fromText(source, format), { ...base, ...overrides });

describe.each([
  ["bpe", 280],
  ["word", 12],
] as const)("%s", (tokenizer, vocab_size) => {
  test("gives the ids that the whole text has, though it is encoded in parts", async () => {
    const long = text.repeat(60); // of more than two parts
    const { text: tokens } = await inTokens(long, { tokenizer, vocab_size });
    expect(tokens.tokenizer.kind).toBe(tokenizer);
    expect(tokens.tokenizer.vocab_size).toBe(vocab_size);
    expect([...tokens.ids]).toEqual([...tokens.tokenizer.encode(long)]);
    expect([...tokens.starts]).toEqual([0, tokens.ids.length]);
    expect(tokens.size).toEqual({
      num_chars: [...long].length,
      num_bytes: Buffer.byteLength(long),
    });
  });

  test("parts documents where they are parted, and no token goes across", async () => {
    const corpus = fromText("ab ab\nab ab ab\nc", "lines");
    const { text: lines } = await tokenize(corpus, {
      ...base,
      tokenizer,
      vocab_size: tokenizer === "bpe" ? 260 : 5,
    });
    const documents = Array.from({ length: 3 }, (_, d) => lines.document(d));
    expect(documents[0]).toBe("ab ab");
    expect(documents[1]).toBe("ab ab ab");
    expect(lines.num_docs).toBe(3);
  });

  test("a run keeps its tokenizer, goes on with it bit for bit, and with no other", async () => {
    const config = {
      ...base,
      tokenizer,
      vocab_size,
      num_steps: 4,
      val_fraction: 0.2,
      eval_every: 2,
    };
    const whole = await losses({ ...config });
    const first = await Training.open({ config, documents: text, device: "cpu" });
    const seen: number[] = [];
    for await (const event of first.run()) {
      if (event.type === "step") seen.push(event.loss);
      if (event.type === "eval") break;
    }
    const { pieces } = encodeCheckpoint(await first.checkpoint());
    first.close();
    const resume = decodeCheckpoint(Buffer.concat([...pieces]), "here");
    expect(resume.config).toMatchObject({ tokenizer, vocab_size });
    expect(resume.tokenizer.toJSON()).toEqual(first.tokenizer.toJSON());
    expect([...seen, ...(await losses(config, resume))]).toEqual(whole);
    expect(() => resumedConfig(resume, { tokenizer: "char" })).toThrow(
      `tokenizer is char, but the run to resume has ${tokenizer}; leave it out, or begin a new run.`,
    );
    expect(() => resumedConfig(resume, { vocab_size: 400 })).toThrow(ConfigError);
    expect(resumedConfig({ ...resume, asked_vocab_size: 400 }, { vocab_size: 400 })).toEqual(
      resume.config,
    );
    expect(resumedConfig(resume, { vocab_size: 0, tokenizer: "auto" })).toMatchObject({
      vocab_size,
    });
    const other = Training.open({ config, documents: text.toUpperCase(), device: "cpu", resume });
    await expect(other).rejects.toThrow(DataError);
  });
});

async function losses(config: ConfigChoice, resume?: Parameters<typeof resumedConfig>[0]) {
  const options = { config, documents: text, device: "cpu" } as const;
  const training = await Training.open({ ...options, resume: resume as never });
  const list: number[] = [];
  for await (const event of training.steps()) list.push(event.loss);
  return list;
}

test("decode(encode(x)) = x: of characters that are known, and in BPE of any text", async () => {
  const { text: bpe } = await inTokens(text, { tokenizer: "bpe", vocab_size: 300 });
  const whole = fc.string({ unit: "binary" });
  fc.assert(
    fc.property(whole, (x) => {
      expect(bpe.tokenizer.decode(bpe.tokenizer.encode(x))).toBe(x);
    }),
  );
  const char = new CharTokenizer([..."ab\u0301\u{1F600}"]);
  const known = fc.string({ unit: fc.constantFrom(...char.chars) });
  fc.assert(
    fc.property(known, (x) => {
      expect(char.decode(char.encode(x))).toBe(x);
    }),
  );
});

test("bits per byte are of the text, whatever its tokens: of even guesses as many as the vocabulary tells", async () => {
  const sizes = [];
  for (const tokenizer of ["char", "bpe"] as const) {
    const vocab_size = tokenizer === "bpe" ? 300 : 0;
    const { text: tokens } = await inTokens(text, { tokenizer, vocab_size });
    const sequence = Int32Array.of(tokens.tokenizer.bos, ...tokens.ids);
    const size = sizeOfTargets([sequence], tokens.tokenizer);
    expect(size).toEqual({ tokens: tokens.ids.length, bytes: Buffer.byteLength(text) });
    const even = Math.log(tokens.tokenizer.vocab_size);
    const bits = (Math.log2(tokens.tokenizer.vocab_size) * size.tokens) / size.bytes;
    expect(bitsPerByte(even, size)).toBeCloseTo(bits, 10);
    sizes.push(size.tokens);
  }
  expect(sizes[1]).toBeLessThan(sizes[0] / 2);
});

test("what is told of a text counts its tokens, those that are unknown, and what the context leaves unread", async () => {
  const corpus = fromText("a a a a b\na c", "lines");
  const tokens = await tokenize(corpus, { ...base, tokenizer: "word", vocab_size: 3 });
  expect(textFacts(tokens, 4)).toMatchObject({
    tokenizer: "word",
    vocab_size: 3,
    num_text_tokens: 7,
    num_unknown: 2,
    num_chars: 12,
    num_bytes: 12,
    num_truncated: 1,
    num_unread: 1,
  });
});

describe("auto", () => {
  const of = (source: string, overrides: Partial<ConfigChoice> = {}) =>
    chooseTokenizer(
      { ...base, tokenizer: "auto", n_embd: 256, ...overrides },
      fromText(source, "text"),
    );

  test("is char for a text of ordinary size, and BPE beyond, or where a vocabulary is asked for", () => {
    expect(of(text)).toMatchObject({ tokenizer: "char", vocab_size: 0 });
    expect(of(text).tokenizer_reason).toMatch(/^it has \d+ different characters$/);
    const large = of("0123456789 abcde ".repeat(200_000));
    expect(large).toMatchObject({ tokenizer: "bpe", vocab_size: 2048 });
    expect(large.tokenizer_reason).toMatch(/^it has 3,400,000 characters$/);
    expect(of(text, { vocab_size: 300 })).toMatchObject({ tokenizer: "bpe", vocab_size: 300 });
  });

  test("has no vocabulary that would be most of the model", () => {
    const source = "0123456789 abcde ".repeat(200_000);
    expect(of(source, { n_embd: 16 }).vocab_size).toBe(1024);
    expect(of(source, { n_embd: 4 }).vocab_size).toBe(512);
  });

  test("is what is left unsaid, but for the presets that are models of characters", () => {
    const tokenizerOf = (preset: string) => unsaidIn(preset).tokenizer;
    for (const preset of ["microgpt", "microgpt-cosine", "tiny", "shakespeare"])
      expect(tokenizerOf(preset)).toBeUndefined();
    for (const preset of ["gpt2", "llama-15m", "qwen3-15m", "nanochat-d6", "size-small"])
      expect(tokenizerOf(preset)).toBe("auto");
  });
});

describe("learning and encoding", () => {
  test("tell how far they are, from the beginning to the end", async () => {
    const events: PrepareEvent[] = [];
    const corpus = fromText(text.repeat(40), "text");
    const config = { ...base, tokenizer: "bpe", vocab_size: 290 } as const;
    await tokenize(corpus, config, { progress: (event) => events.push(event) });
    for (const what of ["count", "learn", "tokenize"]) {
      const own = events.filter((event) => event.what === what);
      expect(own.length).toBeGreaterThan(1);
      expect(own.at(-1)).toMatchObject({ done: own[0].total, total: own[0].total });
      for (let i = 1; i < own.length; i++)
        expect(own[i].done).toBeGreaterThanOrEqual(own[i - 1].done);
    }
  });

  test.each(["count", "learn", "tokenize"])(
    "end within %s where a signal says so",
    async (what) => {
      const stop = new AbortController();
      const progress = (event: PrepareEvent) => {
        if (event.what === what) stop.abort(new Error("enough"));
      };
      const corpus = fromText(text.repeat(40), "text");
      const config = { ...base, tokenizer: "bpe", vocab_size: 290 } as const;
      const { signal } = stop;
      await expect(tokenize(corpus, config, { progress, signal })).rejects.toThrow("enough");
    },
  );
});

test("a tokenizer that is asked for as a file has to be given", async () => {
  await expect(inTokens(text, { tokenizer: "file" })).rejects.toThrow(
    "tokenizer is file, but no tokenizer was given",
  );
  const given = CharTokenizer.fromDocuments([`${text}xyz`]);
  const corpus = fromText(text, "text");
  const { text: tokens } = await tokenize(corpus, { ...base, tokenizer: "file" }, { given });
  expect(tokens.tokenizer).toBe(given);
  expect(tokens.document(0)).toBe(text);
});

describe("tokens as they come", () => {
  test("show a character once all its bytes are there, and what is left at the end", async () => {
    const { text: bpe } = await inTokens(text, { tokenizer: "bpe", vocab_size: 260 });
    const { tokenizer } = bpe;
    const stream = new TextStream(tokenizer);
    const bytes = [...Buffer.from("aé\u{1F600}")];
    expect(bytes.map((byte) => stream.push([byte]))).toEqual([
      "a",
      "",
      "é",
      "",
      "",
      "",
      "\u{1F600}",
    ]);
    expect(stream.end()).toBe("");
    expect(stream.push([0xf0])).toBe("");
    expect(stream.end()).toBe("\uFFFD");
  });

  test("are the text, whatever it is", async () => {
    const { text: bpe } = await inTokens(text, { tokenizer: "bpe", vocab_size: 290 });
    const { tokenizer } = bpe;
    const property = fc.property(fc.string({ unit: "binary" }), (x) => {
      const ids = [...tokenizer.encode(x)];
      const stream = new TextStream(tokenizer);
      const shown = ids.map((id) => stream.push([id]));
      expect(shown.join("") + stream.end()).toBe(x);
      for (const piece of shown) expect(piece.isWellFormed()).toBe(true);
    });
    fc.assert(property);
  });

  test("are shown by whole grapheme clusters, also where each character is a token", () => {
    const family = "\u{1F469}\u200D\u{1F680}";
    const char = CharTokenizer.fromDocuments([`e\u0301x${family}`]).withSpecial(["<|user|>"]);
    const ids = [...char.encode(`e\u0301x${family}`), char.special.get("<|user|>")!];
    const pieces = tokenPieces(char, ids);
    expect(pieces.map((piece) => piece.text)).toEqual(["e\u0301", "", "x", family, "", "", ""]);
    expect(pieces.at(-1)!.name).toBe("<|user|>");
  });
});

test("a word of a prompt that the model has no token for is named", async () => {
  const { text: words } = await inTokens(text, { tokenizer: "word", vocab_size: 5 });
  const { tokenizer } = words;
  expect(encodePrompt(tokenizer, "on the")).toEqual([...tokenizer.encode("on the")]);
  expect(() => encodePrompt(tokenizer, "the on snow and ice")).toThrow(UnknownCharacterError);
  expect(() => encodePrompt(tokenizer, "the on snow and ice")).toThrow(
    'The model has no token for "snow", or a part of it, among the 5 of its word tokenizer.',
  );
});
