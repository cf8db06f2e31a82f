// A tokenizer that is learnt from a text, a part at a time.

import type { Config } from "../config.ts";
import { trainBpe } from "../tokenizer/bpe_train.ts";
import { PretokenCounts } from "../tokenizer/count_pretokens.ts";
import type { Counts } from "../tokenizer/counts.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { trainWords, WordCounts } from "../tokenizer/word.ts";
import type { Corpus } from "./corpus.ts";
import { readIds } from "./stored_ids.ts";
import type { Tell } from "./tokenize.ts";

/** Characters that are counted between two turns of the caller's. */
const PIECE = 2 ** 16;

interface Wanted extends Pick<Config, "vocab_size" | "bpe_pattern"> {
  /** Special tokens beside BOS, which are counted among those of the vocabulary. */
  special: readonly string[];
  /** Tells how far each part of the work is: characters counted, tokens learnt. */
  tell: (what: "count" | "learn") => Tell;
}

type Learn = (corpus: Corpus, wanted: Wanted) => Generator<void, Tokenizer>;

/** Each of them throws ConfigError if there can be no such vocabulary. */
export const learners: Record<"word" | "bpe", Learn> = {
  *word(corpus, { vocab_size, special, tell }) {
    const counts = yield* read(corpus, new WordCounts(), tell("count"));
    return trainWords(counts, vocab_size, special);
  },
  *bpe(corpus, { vocab_size, bpe_pattern, special, tell }) {
    const counts = yield* read(corpus, new PretokenCounts(bpe_pattern), tell("count"));
    return yield* trainBpe(counts, { vocab_size, special, progress: tell("learn") });
  },
};

/** Counts what is in all documents; of a chat in all turns, which have no words in common. */
function* read<C extends Counts>(corpus: Corpus, counts: C, tell: Tell): Generator<void, C> {
  const { ids, starts, conversations } = corpus;
  tell(0, ids.length);
  for (const turns of conversations) {
    for (const { content } of turns) {
      counts.push(content);
      counts.end();
    }
    yield;
  }
  if (conversations.length > 0) {
    tell(ids.length, ids.length);
    return counts;
  }
  for (let d = 0; d < corpus.num_docs; d++) {
    for (let from = starts[d]; from < starts[d + 1]; from += PIECE) {
      const to = Math.min(starts[d + 1], from + PIECE);
      counts.push(corpus.tokenizer.decode(readIds(ids, from, to)));
      tell(to, ids.length);
      yield;
    }
    counts.end();
  }
  return counts;
}
