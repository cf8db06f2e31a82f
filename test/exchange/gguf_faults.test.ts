// GGUF files with something wrong: a sentence for each, and what another wrote is refused by its name.

import { describe, expect, test } from "vitest";
import { ModelFileError } from "../../src/errors.ts";
import { exportGguf } from "../../src/exchange/gguf/export.ts";
import { importGguf } from "../../src/exchange/gguf/import.ts";
import { sourceOf } from "../../src/files/byte_source.ts";
import { CharTokenizer } from "../../src/tokenizer/char.ts";
import { WordTokenizer } from "../../src/tokenizer/word.ts";
import { runGgufMutations } from "../harness/gguf_mutations.ts";
import { modern } from "../harness/modern.ts";
import { bpe, llama, modelOf, models, qwen3, written } from "./gguf_models.ts";
import {
  bytesOf,
  type Field,
  type Golden,
  goldenGguf,
  keyBool,
  keyF32,
  keyI32s,
  keyText,
  keyTexts,
  keyU32,
  type Made,
  nameOf,
  tensor,
  text,
  u32,
  u64,
} from "./make_gguf.ts";

const good = () => goldenGguf("qwen3", modern[2].trace as object as Golden);

const utf8 = new TextEncoder();
/** The file with a key in the place of the one of the same name, or behind the others. */
function withKey(key: Field[]): Uint8Array {
  const made = good();
  const i = made.keys.findIndex((other) => nameOf(other) === nameOf(key));
  if (i < 0) made.head[2] = u64(made.keys.push(key));
  else made.keys[i] = key;
  return bytesOf(made);
}

function without(name: string): Uint8Array {
  const made = good();
  made.keys = made.keys.filter((key) => nameOf(key) !== name);
  made.head[2] = u64(made.keys.length);
  return bytesOf(made);
}

/** With other fields of the tensor of a name, which is (V, C) in f32 at 0. */
function withTensor(fields: Field[], name = "token_embd.weight"): Uint8Array {
  const made = good();
  made.tensors = made.tensors.map((own) => (nameOf(own) === name ? fields : own));
  return bytesOf(made);
}

function made(change: (made: Made) => void): Uint8Array {
  const changed = good();
  change(changed);
  return bytesOf(changed);
}

const norm = "blk.0.attn_norm.weight";
const embedding = (type: number, offset = 0, shape = [11, 12]) =>
  tensor("token_embd.weight", shape, type, offset);

describe("a sentence for", () => {
  test.each<[string, Uint8Array, string]>([
    ["an empty file", new Uint8Array(0), "it ends within its first four bytes"],
    ["another format", made((m) => void (m.magic = "GGML")), `it begins with "GGML" and not with`],
    ["version 1", made((m) => void (m.head[0] = u32(1))), "it has version 1, and 2 and 3 are read"],
    ["big-endian", made((m) => void (m.head[0] = u32(3 << 24))), "its numbers are big-endian"],
    [
      "too many keys",
      made((m) => void (m.head[2] = u64(2n ** 63n))),
      "it should have more than 2^53 keys; 65536 are the most that are read",
    ],
    [
      "more tensors than the file has room for",
      made((m) => void (m.head[1] = u64(10_000))),
      "it should have 10000 tensors; 65536 are the most that are read, and",
    ],
    [
      "a text beyond the file",
      withKey([u64(2n ** 40n), { bytes: utf8.encode("a") }, u32(4), u32(1)]),
      "should have 1099511627776 bytes",
    ],
    ["NUL in a key", withKey([...text("a\0b"), u32(4), u32(1)]), "holds the character NUL"],
    ["NUL in a text", withKey(keyText("general.name", "a\0")), "holds the character NUL"],
    [
      "no UTF-8",
      withKey([...text("general.name"), u32(8), u64(2), { bytes: Uint8Array.of(0xc3, 0x28) }]),
      `the value of key "general.name" is not UTF-8`,
    ],
    [
      "a key twice",
      made((m) => void (m.head[2] = u64(m.keys.push(m.keys[3])))),
      `the key "qwen3.embedding_length" is there twice`,
    ],
    [
      "an array of arrays",
      withKey([...text("a"), u32(9), u32(9), u64(0)]),
      `the key "a" is an array of arrays`,
    ],
    [
      "an array beyond the file",
      withKey([...text("a"), u32(9), u32(0), u64(2n ** 32n)]),
      `the key "a" should have 4294967296 elements`,
    ],
    ["an unknown type of key", withKey([...text("a"), u32(13)]), `"a" is of the unknown type 13`],
    ["a truth value of 2", withKey(keyBool("a", 2)), "is neither true nor false"],
    [
      "an alignment of 24",
      withKey(keyU32("general.alignment", 24)),
      "its general.alignment is 24, and a power of two is needed",
    ],
    [
      "a tensor of no dimension",
      withTensor([...text("token_embd.weight"), u32(0), u32(0), u64(0)]),
      "has 0 dimensions; 1 to 4 are possible",
    ],
    [
      "a shape that overflows",
      withTensor([
        ...text("token_embd.weight"),
        u32(2),
        u64(2n ** 32n),
        u64(2n ** 32n),
        u32(0),
        u64(0),
      ]),
      `of shape (4294967296, 4294967296) at 0 would need 73786976294838210000 bytes`,
    ],
    [
      "an empty tensor",
      withTensor(embedding(0, 0, [11, 0])),
      "of shape (11, 0) at 0 would need 0 bytes",
    ],
    ["a place between", withTensor(embedding(0, 16)), "begins at 16, which is no multiple of 32"],
    [
      "an overlap",
      withTensor(tensor(norm, [12], 0, 0), norm),
      "so it overlaps the tensor before it",
    ],
    ["a hole", withTensor(embedding(1)), "so it leaves a hole before it"],
    [
      "data behind the last one",
      made((m) => void (m.data = Uint8Array.from([...m.data, ...Array<number>(32).fill(0)]))),
      "of data, and it has",
    ],
    ["data cut short", bytesOf(good()).subarray(0, -40), "would need"],
    [
      "a tensor twice",
      made((m) => void (m.tensors[1] = m.tensors[0])),
      `the tensor "token_embd.weight" is there twice`,
    ],
    ["Q4_K", withTensor(embedding(12)), "is of type Q4_K, and a model's numbers are read as F32"],
    ["Q8_0", withTensor(embedding(8)), "is of type Q8_0"],
    ["an unknown type", withTensor(embedding(99)), "is of the unknown type 99"],
    [
      "another shape",
      withTensor(embedding(0, 0, [12, 11])),
      "has token_embd.weight of shape (12, 11), not (11, 12)",
    ],
    [
      "a bias",
      withTensor(tensor("blk.0.attn_q.bias", [11, 12], 0, 0)),
      `has the tensor "blk.0.attn_q.bias", which a model of its settings has not`,
    ],
    [
      "a number that is none",
      made((m) => m.data.set([0, 0, 0xc0, 0x7f])),
      "has NaN in token_embd.weight (element 0)",
    ],
    [
      "another architecture",
      withKey(keyText("general.architecture", "gemma3")),
      `its general.architecture is "gemma3", and llama and qwen3 are known`,
    ],
    ["a size that is missing", without("qwen3.block_count"), "it lacks the key qwen3.block_count"],
    [
      "a size of each layer",
      withKey(keyI32s("qwen3.attention.head_count", [4, 4])),
      "its qwen3.attention.head_count is a list, and a whole number of at least 1 is needed",
    ],
    [
      "layers without end",
      withKey(keyU32("qwen3.block_count", 2 ** 31)),
      "it should have 2147483648 layers, and has 24 tensors",
    ],
    [
      "sizes that make no model",
      withKey(keyU32("qwen3.attention.head_count_kv", 3)),
      "of a model that cannot be had here: n_head 4 cannot share n_kv_head 3",
    ],
    [
      "positions that are scaled",
      withKey(keyText("qwen3.rope.scaling.type", "yarn")),
      `its qwen3.rope.scaling.type is "yarn"`,
    ],
    [
      "positions that turn a part of a head",
      withKey(keyU32("qwen3.rope.dimension_count", 4)),
      "its qwen3.rope.dimension_count is 4, and its heads have 6 channels: both must be the same",
    ],
    ["experts", withKey(keyU32("qwen3.expert_count", 8)), "its qwen3.expert_count is 8"],
    [
      "what is not known to change nothing",
      withKey(keyF32("qwen3.attention.scale", 2)),
      "it has the key qwen3.attention.scale, which changes what a model is",
    ],
    [
      "another vocabulary",
      withKey(keyU32("qwen3.vocab_size", 12)),
      "its qwen3.vocab_size is 12, and it has 11 tokens",
    ],
    [
      "SentencePiece",
      withKey(keyText("tokenizer.ggml.model", "llama")),
      `its tokenizer is of the kind "llama", and only "gpt2", byte-level BPE, is read`,
    ],
    [
      "words that are parted in an unknown way",
      withKey(keyText("tokenizer.ggml.pre", "tekken")),
      `its tokenizer.ggml.pre is "tekken", and known are gpt-2, dbrx`,
    ],
    [
      "a token twice",
      withKey(keyTexts("tokenizer.ggml.tokens", [..."aacdefghij", "<s>"])),
      "its tokens 0 and 1 are the same",
    ],
    [
      "a merge without its token",
      withKey(keyTexts("tokenizer.ggml.merges", ["a b"])),
      `has "a b" as merge 1, which needs the token "ab"`,
    ],
  ])("%s", (_, bytes, sentence) => {
    const load = () => importGguf(sourceOf("a.gguf", bytes));
    expect(load).toThrow(ModelFileError);
    expect(load).toThrow(sentence);
    expect(load).toThrow(/^a\.gguf.*\.$/s);
  });

  test.each([
    ["another shape", modelOf({}, bpe), "activation is relu, and Llama and Qwen3 have swiglu"],
    ["words", modelOf(qwen3, new WordTokenizer(["a"])), "is of the kind word"],
    [
      "half of a character",
      modelOf(qwen3, new CharTokenizer(["a", "\ud800"])),
      "half of a character",
    ],
    [
      "a weight that f16 has not",
      modelOf({ ...llama, init_std: 1e6 }, bpe),
      "half precision ends at 65504",
    ],
  ])("what cannot be written: %s", (_, model, sentence) => {
    const write = () => exportGguf(model, { half: true });
    expect(write).toThrow(ModelFileError);
    expect(write).toThrow(sentence);
  });
});

test("two thousand files with something changed are models or get a sentence", () => {
  const files = models.map(([, model]) => written(model));
  const { models: good, sentences } = runGgufMutations(files, 2000, 3);
  expect(good).toBeGreaterThan(50);
  expect(sentences.size).toBeGreaterThan(500);
  for (const sentence of sentences) expect(sentence).toMatch(/^\S.{20,600}\.$/s);
});
