// Small tokenizer.json files of the kinds that others write.

import { train } from "./samples.ts";

type Json = Record<string, any>;

const added = (tokens: readonly string[]) =>
  tokens.map((content, id) => ({ id, content, special: true, normalized: false }));

const whole = { version: "1.0", normalizer: null, post_processor: null };

/** As T5 has it: words begin with ▁, pieces have scores. */
export function unigram(): Json {
  const special = ["<pad>", "</s>", "<unk>"];
  const pieces = [
    "▁",
    "▁one",
    "▁two",
    "▁the",
    "s",
    "t",
    "he",
    "<",
    ">",
    "/",
    "\n",
    ..."abcdefghiklmnopqruvwxyz",
  ];
  const tokens = [...special, ...pieces];
  const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "always" };
  return {
    ...whole,
    added_tokens: added(special),
    pre_tokenizer: metaspace,
    decoder: metaspace,
    model: { type: "Unigram", unk_id: 2, vocab: tokens.map((token, i) => [token, -i / 10]) },
  };
}

/** As BERT has it: lower case, continued words begin with ##. */
export function wordPiece(): Json {
  const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];
  const tokens = [...special, "one", "two", "un", "##ed", "##s", "[", "]", "cls", ".", "'"];
  return {
    ...whole,
    added_tokens: added(special),
    normalizer: { type: "BertNormalizer", clean_text: true, lowercase: true },
    pre_tokenizer: { type: "BertPreTokenizer" },
    decoder: { type: "WordPiece", prefix: "##", cleanup: false },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    },
  };
}

/** As Llama 2 has it: a ▁ before all, bytes where a character is unknown. */
export function byteFallback(): Json {
  const special = ["<unk>", "<s>", "</s>"];
  const bytes = Array.from({ length: 256 }, (_, byte) => {
    return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
  });
  const merges = [
    ["t", "w"],
    ["tw", "o"],
    ["▁", "two"],
    ["n", "e"],
    ["o", "ne"],
    ["▁", "one"],
  ];
  const tokens = [...special, ...bytes, "▁", ..."twones", ...merges.map((pair) => pair.join(""))];
  return {
    ...whole,
    added_tokens: added(special),
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "▁" },
        { type: "Replace", pattern: { String: " " }, content: "▁" },
      ],
    },
    pre_tokenizer: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: {
      type: "BPE",
      unk_token: "<unk>",
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}

/** Ours, as JSON. */
export function byteLevel(text: string, pattern: "gpt2" | "gpt4" = "gpt2"): Json {
  return JSON.parse(JSON.stringify(train(text, { vocab_size: 400 }, pattern)));
}

/** As GPT-2's: its own pattern is not written out, merges are strings. */
export function gpt2(text: string): Json {
  const file = byteLevel(text);
  const byteLevelOnly = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true };
  return {
    ...file,
    added_tokens: [{ ...file.added_tokens[0], content: "<|endoftext|>" }],
    pre_tokenizer: byteLevelOnly,
    model: {
      ...file.model,
      unk_token: "",
      continuing_subword_prefix: "",
      end_of_word_suffix: "",
      merges: file.model.merges.map((pair: string[]) => pair.join(" ")),
    },
  };
}
