// A tokenizer as llama.cpp's keys have it, and back: byte-level BPE, or single characters.

import { ModelFileError } from "../../errors.ts";
import { isObject, sameJson } from "../../strict_json.ts";
import { BOS } from "../../tokenizer/bos.ts";
import { fromByteChars, toByteChars } from "../../tokenizer/byte_chars.ts";
import { CharTokenizer } from "../../tokenizer/char.ts";
import { tokenizerFromJSON } from "../../tokenizer/file.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { mergesOf, specialToken, vocabularyOf } from "../../tokenizer/vocabulary.ts";
import type { Keys } from "./keys.ts";
import { nameOfPretokenizer, pretokenizerNames, pretokenizerOf } from "./pretokenizers.ts";
import type { Entry } from "./write.ts";

/** Byte-level BPE. */
const MODEL = "gpt2";

/** The kinds of tokens that are met, by their numbers. */
const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;
/** One that stands for what is unknown, and one that nothing uses: no text has them. */
const others: readonly number[] = [2, 5];

/** What llama.cpp has of a tokenizer. */
interface Words {
  pre: string;
  tokens: string[];
  types: Int32Array;
  merges: string[];
}

/**
 * The keys of a tokenizer.
 * @throws ModelFileError if llama.cpp has no like of it
 */
export function tokenizerEntries(tokenizer: Tokenizer): Entry[] {
  const { pre, tokens, types, merges } =
    tokenizer instanceof CharTokenizer ? charactersOf(tokenizer) : wordsOf(tokenizer);
  return [
    ["tokenizer.ggml.model", "string", MODEL],
    ["tokenizer.ggml.pre", "string", pre],
    ["tokenizer.ggml.tokens", "strings", tokens],
    ["tokenizer.ggml.token_type", "i32s", types],
    ["tokenizer.ggml.merges", "strings", merges],
  ];
}

/**
 * Merges make each character of its bytes, from the first on. They never join two: the right one of a pair never begins
 * a character. What is on the way there is no token, which llama.cpp does not ask for: it leaves out what is unknown.
 */
function charactersOf({ chars, special }: CharTokenizer): Words {
  const merges = new Set<string>();
  const utf8 = new TextEncoder();
  const names = chars.map((char) => {
    if (!char.isWellFormed()) throw refused(`has a token for half of a character`);
    const [first, ...more] = Array.from(utf8.encode(char), (byte) =>
      toByteChars(Uint8Array.of(byte)),
    );
    return more.reduce((left, right) => {
      merges.add(`${left} ${right}`);
      return left + right;
    }, first);
  });
  // A text may have the word bos.
  const [, ...more] = special.keys();
  const tokens = [...names, BOS, ...more];
  const types = Int32Array.from(tokens, (_, id) => (id < chars.length ? NORMAL : CONTROL));
  return { pre: "gpt-2", tokens, types, merges: [...merges] };
}

function wordsOf(tokenizer: Tokenizer): Words {
  const file = tokenizer.toJSON();
  const { model } = file;
  if (!isObject(model) || model.type !== "BPE") {
    throw refused(`is of the kind ${tokenizer.kind}, which llama.cpp has no like of`);
  }
  const isNfc = isObject(file.normalizer) && file.normalizer.type === "NFC"; // left out by all that write GGUF
  if (file.normalizer && !isNfc) throw refused(`changes the text before it is encoded`);
  const { continuing_subword_prefix: prefix, end_of_word_suffix: suffix } = model;
  const pre = nameOfPretokenizer(file.pre_tokenizer, model.ignore_merges === true);
  const isBytes = isObject(file.decoder) && file.decoder.type === "ByteLevel";
  if (pre === undefined || prefix || suffix || !isBytes) {
    throw refused(
      `parts a text in a way that llama.cpp has no name for (known here: ${pretokenizerNames})`,
    );
  }
  const vocabulary = vocabularyOf(file);
  const { ids, special } = vocabulary;
  const tokens: string[] = [];
  const types = new Int32Array(ids.size).fill(NORMAL);
  for (const [name, id] of ids) {
    tokens[id] = name;
    if (special.has(name)) types[id] = CONTROL;
    else if (fromByteChars(name) === undefined) types[id] = USER_DEFINED;
  }
  for (const { content, id } of (file.added_tokens ?? []) as { content: string; id: number }[]) {
    if (!special.has(content)) types[id] = USER_DEFINED;
  }
  return { pre, tokens, types, merges: mergesOf(vocabulary).map((pair) => pair.join(" ")) };
}

function refused(what: string): ModelFileError {
  return new ModelFileError(
    `The model cannot be written as GGUF: its tokenizer ${what}. Train with tokenizer bpe, or choose another format.`,
  );
}

/** @throws ModelFileError if the keys are of no tokenizer that is known here */
export function readTokenizerKeys(keys: Keys): Tokenizer {
  const model = keys.text("tokenizer.ggml.model");
  if (model !== MODEL) {
    keys.fail(
      `its tokenizer is of the kind "${model}", and only "${MODEL}", byte-level BPE, is read; ` +
        `import the model's Hugging Face folder instead`,
    );
  }
  const pre = keys.text("tokenizer.ggml.pre");
  const parts = pretokenizerOf(pre);
  if (parts === undefined) {
    keys.fail(`its tokenizer.ggml.pre is "${pre}", and known are ${pretokenizerNames}`);
  }
  const tokens = keys.texts("tokenizer.ggml.tokens");
  const types = keys.wholes("tokenizer.ggml.token_type", tokens.length) ?? tokens.map(() => NORMAL);
  const merges = keys.texts("tokenizer.ggml.merges");
  const kinds = Array.from(types);
  const unknown = kinds.findIndex(
    (type) => ![NORMAL, CONTROL, USER_DEFINED, ...others].includes(type),
  );
  if (unknown >= 0) keys.fail(`its token ${unknown} is of the unknown kind ${kinds[unknown]}`);
  const characters = readCharacters(tokens, kinds, merges);
  if (characters !== undefined) return characters;

  const isText = (id: number) => kinds[id] === NORMAL;
  const isSpecial = (id: number) => !isText(id) && kinds[id] !== USER_DEFINED;
  const vocab: Record<string, number> = Object.create(null);
  const added: object[] = [];
  tokens.forEach((token, id) => {
    if (isText(id)) {
      if (token in vocab) keys.fail(`its tokens ${vocab[token]} and ${id} are the same`);
      vocab[token] = id;
    } else {
      added.push({ ...specialToken(token, id), special: isSpecial(id) });
    }
  });
  return keys.within(() =>
    tokenizerFromJSON({
      version: "1.0",
      added_tokens: added,
      normalizer: null,
      pre_tokenizer: parts.pre_tokenizer,
      post_processor: null,
      decoder: parts.decoder,
      model: { type: "BPE", ignore_merges: parts.ignore_merges, vocab, merges },
    }),
  );
}

/** The tokenizer of characters that was written so; undefined if it is none. */
function readCharacters(
  tokens: readonly string[],
  types: number[],
  merges: readonly string[],
): CharTokenizer | undefined {
  const count = types.findIndex((type) => type !== NORMAL);
  const isSpecial = (type: number, id: number) => id < count || type === CONTROL;
  if (count < 1 || tokens[count] !== BOS || !types.every(isSpecial)) return undefined;
  if (new Set(tokens).size < tokens.length) return undefined;
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  const chars = tokens.slice(0, count).map((token) => utf8.decode(fromByteChars(token)));
  if (chars.some((char) => [...char].length !== 1)) return undefined;
  const read = new CharTokenizer(chars, tokens.slice(count + 1));
  const written = charactersOf(read);
  const isSame = sameJson([written.tokens, written.merges], [tokens, merges]);
  return isSame ? read : undefined;
}
