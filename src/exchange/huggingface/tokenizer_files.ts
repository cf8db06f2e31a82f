// A tokenizer as the files of a Hugging Face folder: tokenizer.json and what stands beside it.

import { isChat, isStream } from "../../choices.ts";
import type { Config } from "../../config.ts";
import type { Model } from "../../files/model_files.ts";
import { sameJson } from "../../strict_json.ts";
import { chatIds, chatTemplate } from "../../text/chat.ts";
import { BOS, CHARACTERS_BOS } from "../../tokenizer/bos.ts";
import { CharTokenizer } from "../../tokenizer/char.ts";
import { tokenizerFromJSON } from "../../tokenizer/file.ts";
import type { Tokenizer, TokenizerFile } from "../../tokenizer/tokenizer.ts";
import { specialToken, vocabularyOf } from "../../tokenizer/vocabulary.ts";
import { WORDS, WordTokenizer } from "../../tokenizer/word.ts";

/** What the token of unknown words is called, which no word can be. */
const UNKNOWN = "<|unk|>";

/** What a special token is called in the files: `bos` alone would be found in the words of a text. */
const nameOf = (name: string) => (name === CHARACTERS_BOS ? BOS : name);

/** The tokenizer as a tokenizer.json, by which others make the same ids of a text. */
export function tokenizerJson(tokenizer: Tokenizer, config: Pick<Config, "format">): TokenizerFile {
  const file = jsonOf(tokenizer);
  const { special, bos } = tokenizer;
  const [name] = [...special].find(([, id]) => id === bos)!;
  const isWhole = isStream(config.format) || file.post_processor;
  return isWhole ? file : { ...file, post_processor: beginning(nameOf(name), bos) };
}

function jsonOf(tokenizer: Tokenizer): TokenizerFile {
  if (tokenizer instanceof CharTokenizer) {
    return wholeTokens(tokenizer.chars, tokenizer.special, {
      pre_tokenizer: splitBy(String.raw`[\s\S]`, "Isolated", false),
      decoder: { type: "Fuse" },
      // A character that is unknown is an error, as no token is.
      model: { type: "WordLevel", unk_token: UNKNOWN },
    });
  }
  if (tokenizer instanceof WordTokenizer) {
    return wholeTokens([...tokenizer.words, UNKNOWN], tokenizer.special, {
      pre_tokenizer: splitBy(WORDS, "Removed", true),
      decoder: { type: "WordPiece", prefix: INNER, cleanup: true },
      // Nothing in the vocabulary is the end of a word, so that each is known whole or unknown.
      model: {
        type: "WordPiece",
        unk_token: UNKNOWN,
        continuing_subword_prefix: INNER,
        max_input_chars_per_word: 1000,
      },
    });
  }
  return tokenizer.toJSON();
}

/** Two signs, which no word of ours begins with. */
const INNER = "##";

function wholeTokens(
  tokens: readonly string[],
  special: ReadonlyMap<string, number>,
  { model, ...parts }: { model: object; pre_tokenizer: object; decoder: object },
): TokenizerFile {
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: Array.from(special, ([name, id]) => specialToken(nameOf(name), id)),
    normalizer: null,
    post_processor: null,
    ...parts,
    model: { ...model, vocab: Object.fromEntries(tokens.map((token, id) => [token, id])) },
  };
}

function splitBy(Regex: string, behavior: string, invert: boolean): object {
  return { type: "Split", pattern: { Regex }, behavior, invert };
}

/** What puts the token that begins a document before a text. */
function beginning(name: string, id: number): object {
  const token = { SpecialToken: { id: name, type_id: 0 } };
  const sequence = (which: string, type_id: number) => ({ Sequence: { id: which, type_id } });
  return {
    type: "TemplateProcessing",
    single: [token, sequence("A", 0)],
    pair: [token, sequence("A", 0), token, sequence("B", 1)],
    special_tokens: { [name]: { id: name, ids: [id], tokens: [name] } },
  };
}

/**
 * A tokenizer from a tokenizer.json: where ours of characters or words gives that very file, it is that one.
 * @throws ModelFileError if it cannot be used
 */
export function readTokenizerJson(file: unknown): Tokenizer {
  const read = tokenizerFromJSON(file);
  const own = ownTokenizer(read);
  if (own === undefined) return read;
  const isSame = sameJson({ ...read.toJSON(), post_processor: null }, jsonOf(own));
  return isSame ? own : read;
}

/** The tokenizer of ours that one may have been once. */
function ownTokenizer(read: Tokenizer): Tokenizer | undefined {
  const { ids, special } = vocabularyOf(read.toJSON());
  const names = [...ids].toSorted(([, a], [, b]) => a - b).map(([name]) => name);
  const tokens = names.filter((name) => !special.has(name));
  const [, ...more] = names.slice(tokens.length);
  if (read.kind === "wordlevel") return new CharTokenizer(tokens, more);
  return read.kind === "wordpiece" ? new WordTokenizer(tokens.slice(0, -1), more) : undefined;
}

/** The token of a tokenizer.json that stands for what is unknown. */
function unknownName(file: TokenizerFile): string | undefined {
  const { unk_token } = (file.model ?? {}) as { unk_token?: unknown };
  return typeof unk_token === "string" ? unk_token : undefined;
}

/** tokenizer_config.json and special_tokens_map.json. */
export function tokenizerNotes(model: Model, file: TokenizerFile) {
  const { tokenizer, config } = model;
  const names = new Map(Array.from(tokenizer.special, ([name, id]) => [id, nameOf(name)]));
  const ends = endIds(model);
  const [bos, end] = [names.get(tokenizer.bos)!, names.get(ends.at(-1)!)!];
  const unknown = unknownName(file);
  const others = [...names.values()].filter((name) => ![bos, end, unknown].includes(name));
  const special = {
    bos_token: bos,
    eos_token: end,
    ...(unknown !== undefined && tokenizer.unknown_id !== undefined && { unk_token: unknown }),
    ...(others.length > 0 && { additional_special_tokens: others }),
  };
  return {
    special,
    config: {
      tokenizer_class: "PreTrainedTokenizerFast",
      model_max_length: config.block_size,
      clean_up_tokenization_spaces: false,
      ...special,
      ...(isChat(config.format) && { chat_template: chatTemplate(tokenizer) }),
    },
  };
}

/** Ids of the tokens that end what a model writes, the one that does so most often last. */
export function endIds({ tokenizer, config }: Pick<Model, "tokenizer" | "config">): number[] {
  const { bos } = tokenizer;
  return isChat(config.format) ? [bos, chatIds(tokenizer).end_turn] : [bos];
}
