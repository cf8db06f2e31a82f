// The tokenizers of others, as Hugging Face's own reader runs them: whatever is no byte-level BPE that we know.

import { Tokenizer as Reader } from "@huggingface/tokenizers";
import { UnknownCharacterError } from "../errors.ts";
import { isObject, show } from "../strict_json.ts";
import { wholeCharacters } from "../surrogates.ts";
import { finish } from "../finish.ts";
import { fromByteChars } from "./byte_chars.ts";
import type { Cut, Tokenizer, TokenizerFile } from "./tokenizer.ts";
import { type Vocabulary, bad, mergesOf, specialToken, vocabularyOf } from "./vocabulary.ts";

/** UTF-16 code units that are encoded at a time, where a text can be cut: the reader is slow with long ones. */
const PART = 2 ** 12;
/** What has no such place is cut anywhere there, so that memory stays bounded whatever the text is. */
const LONGEST = 2 ** 16;
/** Where a text can be cut: between two words. */
const gap = /(?<=[\p{L}\p{N}]) (?=[\p{L}\p{N}])/gu;

export class HuggingFaceTokenizer implements Tokenizer {
  readonly kind: string;
  readonly vocab_size: number;
  readonly bos: number;
  readonly start: number;
  readonly special: ReadonlyMap<string, number>;
  /** Id of the token that stands for whatever has none; undefined where there is no such token. */
  readonly unknown_id: number | undefined;
  private readonly file: TokenizerFile;
  private readonly reader: Reader;
  /** What each id is in the file. */
  private readonly names: string[] = [];
  /** The bytes of those ids that were asked for. */
  private readonly texts = new Map<number, Uint8Array>();
  private readonly specialIds: ReadonlySet<number>;
  /** What decodes a token: the types of the file's decoders. */
  private readonly decoders: readonly string[];
  /** Which part of two words has the space between them: the later one, none, or they cannot be parted. */
  private readonly space: "later" | "none" | "whole";

  /**
   * @param file a tokenizer.json
   * @throws ModelFileError if it cannot be used
   */
  constructor(file: TokenizerFile, vocabulary: Vocabulary = vocabularyOf(file)) {
    const { ids, special, bos, model } = vocabulary;
    this.file = file;
    this.kind = typeof model.type === "string" ? model.type.toLowerCase() : "tokenizer.json";
    this.vocab_size = ids.size;
    this.bos = bos;
    this.special = special;
    this.unknown_id =
      typeof model.unk_token === "string" ? ids.get(model.unk_token) : (model.unk_id as number);
    this.specialIds = new Set(special.values());
    for (const [name, id] of ids) this.names[id] = name;
    this.decoders = typesOf(file.decoder);
    for (const part of ["normalizer", "pre_tokenizer", "decoder"]) checkPatterns(file[part], part);
    try {
      this.reader = new Reader(withoutSpecial(file, vocabulary), {});
      this.space = this.probe();
    } catch (error) {
      throw bad(`cannot be used here (${(error as Error).message})`);
    }
    this.start =
      ["\n", "Ċ", "<0x0A>"].map((name) => ids.get(name)).find((id) => id !== undefined) ?? 0;
  }

  withSpecial(names: readonly string[]): HuggingFaceTokenizer {
    const fresh = [...new Set(names)].filter((name) => !this.special.has(name));
    const added = (this.file.added_tokens ?? []) as readonly unknown[];
    const more = fresh.map((name, i) => specialToken(name, this.vocab_size + i));
    return new HuggingFaceTokenizer({ ...this.file, added_tokens: [...added, ...more] });
  }

  encode(text: string): number[] {
    return finish(this.encoding(text));
  }

  /** The same, a part at a time, so that the event loop can be left free between them. */
  *encoding(text: string): Generator<void, number[]> {
    const ids: number[] = [];
    for (let from = 0; from < text.length;) {
      const { end, next } = this.cut(text, from) ?? { end: text.length, next: text.length };
      for (const id of this.read(text.slice(from, end))) ids.push(id);
      from = next;
      yield;
    }
    return ids;
  }

  certain(text: string): Cut {
    let last: Cut = { end: 0, next: 0 };
    for (let cut; (cut = this.cut(text, last.next)) !== undefined;) last = cut;
    return last;
  }

  decode(ids: Iterable<number>): string {
    const known = Array.from(ids).filter((id) => id in this.names && !this.specialIds.has(id));
    return known.length === 0 ? "" : this.write(known);
  }

  /** As it is within a text: with the space before a word that has none at a text's beginning. */
  bytes(id: number): Uint8Array {
    const known = this.texts.get(id) ?? this.bytesOf(id);
    this.texts.set(id, known);
    return known;
  }

  private bytesOf(id: number): Uint8Array {
    const name = this.specialIds.has(id) ? undefined : this.names[id];
    if (name === undefined) return new Uint8Array(0);
    const [, byte] = /^<0x([0-9A-F]{2})>$/.exec(name) ?? [];
    if (byte !== undefined && this.decoders.includes("ByteFallback")) {
      return Uint8Array.of(parseInt(byte, 16));
    }
    const bytes = this.decoders.includes("ByteLevel") ? fromByteChars(name) : undefined;
    if (bytes !== undefined) return bytes;
    const alone = this.write([id]);
    const before = this.write([id, id]);
    // The second of two has the space that the first one may lack.
    return new TextEncoder().encode(before.startsWith(alone) ? before.slice(alone.length) : alone);
  }

  byteLength(id: number): number {
    return this.bytes(id).length;
  }

  toJSON(): TokenizerFile {
    return this.file;
  }

  /** The end of the part that begins at `from`; undefined where it depends on what follows the text. */
  private cut(text: string, from: number): Cut | undefined {
    if (this.space !== "whole") {
      gap.lastIndex = PART;
      const found = gap.exec(text.slice(from, from + LONGEST))?.index;
      gap.lastIndex = 0;
      const end = from + (found ?? 0);
      if (found !== undefined) return { end, next: this.space === "none" ? end + 1 : end };
    }
    if (text.length - from <= LONGEST) return undefined;
    const end = wholeCharacters(text, from + LONGEST);
    return { end, next: end };
  }

  private read(text: string): number[] {
    const { ids } = this.reader.encode(text.toWellFormed(), { add_special_tokens: false });
    if (ids.every((id) => id !== undefined)) return ids;
    throw new UnknownCharacterError(
      `The tokenizer has no tokens for a part of ${JSON.stringify(text.slice(0, 60))}, and none for what is ` +
        `unknown. Leave it out, or take a tokenizer that knows it.`,
    );
  }

  private write(ids: number[]): string {
    const options = { skip_special_tokens: false, clean_up_tokenization_spaces: false };
    return this.reader.decode(ids, options);
  }

  /** @throws anything, if the reader cannot work with the file */
  private probe(): "later" | "none" | "whole" {
    this.write([0, this.vocab_size - 1]);
    const read = (text: string) => this.reader.encode(text, { add_special_tokens: false }).ids;
    const whole = read("one two").join();
    const [one, two, spaced] = ["one", "two", " two"].map(read);
    if ([...one, ...spaced].join() === whole) return "later";
    return [...one, ...two].join() === whole ? "none" : "whole";
  }
}

/**
 * The file as a reader takes it that never sees a special token in a text: their names become what no text holds,
 * halves of surrogate pairs.
 */
function withoutSpecial(file: TokenizerFile, vocabulary: Vocabulary): object {
  const { special, model } = vocabulary;
  const rename = (name: string) => (special.has(name) ? `\udc00${special.get(name)}` : name);
  const { vocab, unk_token } = model;
  const renamed = Array.isArray(vocab)
    ? vocab.map(([name, score]) => [rename(name), score])
    : Object.fromEntries(Object.entries(vocab as object).map(([name, id]) => [rename(name), id]));
  const added = (file.added_tokens ?? []) as { content: string }[];
  return {
    normalizer: null,
    pre_tokenizer: null,
    decoder: null,
    ...file,
    post_processor: null,
    added_tokens: added.map((token) => ({ ...token, content: rename(token.content) })),
    model: {
      ...model,
      vocab: renamed,
      ...(model.type === "BPE" && { merges: mergesOf(vocabulary) }),
      ...(typeof unk_token === "string" && { unk_token: rename(unk_token) }),
    },
  };
}

/**
 * What the reader does not know of patterns it passes over, and makes other ids.
 * @throws ModelFileError if there is one that is neither a text nor a regular expression
 */
function checkPatterns(part: unknown, where: string): void {
  if (typeof part !== "object" || part === null) return;
  const { type, pattern } = part as Readonly<Record<string, unknown>>;
  if ((type === "Split" || type === "Replace" || pattern !== undefined) && !isPattern(pattern)) {
    throw bad(
      `has the pattern ${show(pattern)} in its ${where}; {"String": …} or {"Regex": …} is needed`,
    );
  }
  for (const value of Object.values(part)) checkPatterns(value, where);
}

function isPattern(value: unknown): boolean {
  return isObject(value) && (typeof value.String === "string" || typeof value.Regex === "string");
}

function typesOf(decoder: unknown): string[] {
  if (!isObject(decoder)) return [];
  const { type, decoders } = decoder;
  return [String(type), ...(Array.isArray(decoders) ? decoders.flatMap(typesOf) : [])];
}
