// Large texts are not held in memory: their characters, and the tokens that a tokenizer makes of them, are in files of the
// user's cache folder, told by the files that the text comes from, how they are read, and the tokenizer.

import type { ConfigChoice } from "../../src/config.ts";
import { Corpus } from "../../src/text/corpus.ts";
import type { Reading } from "../../src/text/formats/reader.ts";
import type { TextFile } from "../../src/text/read_corpus.ts";
import type { TokenCache } from "../../src/text/stored_ids.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { CachedIds, keepNote, keyOf, recallNote } from "./ids_cache.ts";

/** Bytes of a text from which on it is not held in memory. */
const LARGE = 2 ** 28;

type How = Pick<ConfigChoice, "format"> & Reading;

interface AboutText extends Pick<Corpus, "format" | "format_reason" | "skipped"> {
  chars: readonly string[];
}

export class TextCache implements TokenCache {
  private readonly key: string | null;
  /** Where the text's characters are put. */
  readonly characters: CachedIds<AboutText>;

  private constructor(key: string | null) {
    this.key = key;
    this.characters = new CachedIds(key);
  }

  /**
   * Undefined for a text that memory has room for.
   * @param bytes of the text; undefined where nobody knows
   * @param caches whether what was read before will do, and is kept
   * @param large from how many bytes on a text is not held in memory; for tests
   */
  static of(
    files: readonly TextFile[],
    { format, field, separator, skip_bad_lines }: How,
    bytes: number | undefined,
    caches: boolean,
    large = LARGE,
  ): TextCache | undefined {
    if (bytes === undefined || bytes < large) return undefined;
    const identities = files.map(({ identity }) => identity);
    const known = caches && identities.every((identity) => identity !== undefined);
    return new TextCache(
      known ? keyOf(identities, format, field, separator, skip_bad_lines) : null,
    );
  }

  /** The text, where it was read before. */
  recallText(): Corpus | undefined {
    const { ids, starts, about } = this.characters.recall() ?? {};
    if (ids === undefined || starts === undefined || about === undefined) return undefined;
    const { chars, format, ...more } = about;
    return new Corpus({ ids, chars }, starts, format, { ...more, cache: this });
  }

  /** Keeps the text whose characters were put here. */
  keepText({ format, format_reason, skipped, conversations, starts }: Corpus): void {
    const { characters } = this;
    // Who says what is not among the characters.
    if (conversations.length > 0) return characters.forget();
    characters.keep(starts, { chars: characters.chars, format, format_reason, skipped });
  }

  recall(key: readonly unknown[]): unknown {
    return this.key === null ? undefined : recallNote(keyOf(this.key, key));
  }

  keep(key: readonly unknown[], value: unknown): void {
    if (this.key !== null) keepNote(keyOf(this.key, key), value);
  }

  tokens(tokenizer: Tokenizer): CachedIds<object> {
    return new CachedIds(this.key && keyOf(this.key, tokenizer.toJSON()));
  }
}
