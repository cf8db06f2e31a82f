// Which tokenizer `auto` is: characters or BPE, judged by how long a text is and how many characters it knows.

export interface ChosenTokenizer {
  tokenizer: "char" | "bpe";
  /** For BPE: 512 to 32,768. */
  vocab_size?: number;
  /** As the end of a sentence. */
  why: string;
}

/** Characters of a text from which on tokens of several characters are worth their parameters. */
const LONG = 2_000_000;
/** The same for a text with a large alphabet, whose rare characters would hardly be trained. */
const LONG_ENOUGH = 100_000;
const LARGE_ALPHABET = 512;

/**
 * @param length characters of the whole text
 * @param alphabet different ones of them
 */
export function chooseTokenizer(length: number, alphabet: number): ChosenTokenizer {
  const size = length.toLocaleString("en-US");
  const distinct = alphabet.toLocaleString("en-US");
  const isLarge = alphabet > LARGE_ALPHABET;
  if (length >= LONG || (isLarge && length >= LONG_ENOUGH)) {
    const why = isLarge ? `it has ${distinct} different characters` : `it has ${size} characters`;
    return { tokenizer: "bpe", vocab_size: vocabSizeFor(length), why };
  }
  const why = isLarge
    ? `it has only ${size} characters`
    : `it has ${distinct} different characters`;
  return { tokenizer: "char", why };
}

/** The power of two that is nearest to the square root of the number of characters, from 512 to 32,768. */
export function vocabSizeFor(length: number): number {
  const exponent = Math.round(Math.log2(length) / 2);
  return 2 ** Math.min(15, Math.max(9, exponent));
}
