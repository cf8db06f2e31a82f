// The text of a run in the tokens of its tokenizer: that of the run to resume, one that was given, or one that is learnt.

import { isChat, isGiven, isLearned } from "../choices.ts";
import type { Config, ConfigChoice } from "../config.ts";
import { count } from "../count.ts";
import { teller } from "../device/prepare.ts";
import { ConfigError } from "../errors.ts";
import { Breather } from "../platform/breather.ts";
import { chatTokens, withTokens } from "../text/chat.ts";
import { chooseTokenizer } from "../text/choose_tokenizer.ts";
import type { Corpus } from "../text/corpus.ts";
import { learners } from "../text/learn.ts";
import type { TokenizedText } from "../text/tokenized.ts";
import { type Tell, tokenizeInParts } from "../text/tokenize.ts";
import { CharTokenizer } from "../tokenizer/char.ts";
import { tokenizerFromJSON } from "../tokenizer/file.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { PrepareEvent } from "./events.ts";

/** Which tokenizer it is to be. */
export interface TokenizerOptions {
  progress?: (event: PrepareEvent) => void;
  /** Once aborted, no further part is begun. */
  signal?: AbortSignal;
  /** What tokenizer `file` stands for. */
  given?: Tokenizer;
  /** Of the run to resume: nothing is learnt anew. */
  before?: Tokenizer;
  /** Of the model to start from: the text's, whatever that holds. */
  initial?: Tokenizer;
}

export interface Tokens extends Pick<Config, "tokenizer" | "vocab_size"> {
  text: TokenizedText;
  /** Why `auto` is this tokenizer; null where it was asked for. */
  tokenizer_reason: string | null;
  /** What is to be known about it, a sentence each. */
  tokenizer_notes: string[];
}

/** Signs of progress, of all that come. */
const TOLD = 100;

/**
 * @param config without n_embd there is no model that the tokenizer's size should suit
 * @throws ConfigError if a tokenizer is asked for that was not given, or another one than that of the run to resume or of
 *   the model to start from
 * @throws UnknownCharacterError if the tokenizer lacks a character of the text
 * @throws the signal's reason where it is aborted before all is done
 */
export async function tokenize(
  corpus: Corpus,
  config: Pick<ConfigChoice, "tokenizer" | "vocab_size" | "bpe_pattern"> &
    Partial<Pick<ConfigChoice, "n_embd">>,
  { given, before: resumed, initial, progress, signal }: TokenizerOptions = {},
): Promise<Tokens> {
  const before = resumed ?? initial;
  const choice = chooseTokenizer(config, corpus);
  const special = isChat(corpus.format) ? chatTokens(corpus.conversations) : [];
  const breather = new Breather();
  const tell = (what: PrepareEvent["what"]) => rarely(teller(what, progress));
  const learnt = async (learn: (typeof learners)["bpe"]) => {
    const { bpe_pattern } = config;
    const { vocab_size } = choice;
    const key = ["learnt", choice.tokenizer, vocab_size, bpe_pattern, special];
    const known = corpus.cache?.recall(key);
    if (known !== undefined) return tokenizerFromJSON(known);
    const work = learn(corpus, { vocab_size, bpe_pattern, special, tell });
    const tokenizer = await breather.through(work, signal);
    corpus.cache?.keep(key, tokenizer.toJSON());
    return tokenizer;
  };
  const of: Record<Config["tokenizer"], () => Tokenizer | Promise<Tokenizer>> = {
    char: () => initial ?? (resumed && knowsAll(resumed, corpus) ? resumed : corpus.tokenizer),
    word: () => before ?? learnt(learners.word),
    bpe: () => before ?? learnt(learners.bpe),
    file: () => before ?? given!,
  };
  if (isGiven(choice.tokenizer))
    checkGiven(given, before, special, resumed ? "run to resume" : "model to start from");
  const tokenizer = withTokens(await of[choice.tokenizer](), special);
  const work = tokenizeInParts(corpus, tokenizer, tell("tokenize"));
  const text = await breather.through(work, signal);
  const vocab_size = isLearned(choice.tokenizer) ? tokenizer.vocab_size : 0;
  const { vocab_size: wanted } = config;
  const tokenizer_notes =
    vocab_size < wanted && !before
      ? [
          `Of ${count(wanted)} tokens that were asked for the text has ${count(vocab_size)} to learn.`,
        ]
      : [];
  return { ...choice, vocab_size, text, tokenizer_notes };
}

/** Whether the tokens of another run, which may have started from a model, hold all characters of a text. */
function knowsAll(tokenizer: Tokenizer, { tokenizer: { chars } }: Corpus): boolean {
  if (!(tokenizer instanceof CharTokenizer)) return false;
  const known = new Set(tokenizer.chars);
  return chars.every((char) => known.has(char));
}

/** @param special tokens that both are to have */
function checkGiven(
  given: Tokenizer | undefined,
  before: Tokenizer | undefined,
  special: readonly string[],
  of: string,
): void {
  if (before === undefined && given === undefined) {
    throw new ConfigError(
      "tokenizer",
      `tokenizer is file, but no tokenizer was given; give one, or choose char, word or bpe.`,
    );
  }
  if (before === undefined || given === undefined) return;
  if (isSame(withTokens(before, special), withTokens(given, special))) return;
  throw new ConfigError(
    "tokenizer",
    `The tokenizer is not the one of the ${of}, whose tokens are others; leave it out, or begin a new run.`,
  );
}

function isSame(a: Tokenizer, b: Tokenizer): boolean {
  return JSON.stringify(a.toJSON()) === JSON.stringify(b.toJSON());
}

/** Passes on some signs of progress of the many that come, the first and the last among them. */
export function rarely(tell: Tell): Tell {
  let next = 0;
  return (done, total) => {
    if (done < next && done < total) return;
    next = done + total / TOLD;
    tell(done, total);
  };
}
