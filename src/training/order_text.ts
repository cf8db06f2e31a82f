// Which tokens of a run's text are trained on, in which order, and which are held out.

import { isStream } from "../choices.ts";
import type { ReadConfig } from "../config.ts";
import type { Checkpoint } from "../files/checkpoint.ts";
import type { PythonRandom } from "../random.ts";
import type { Corpus } from "../text/corpus.ts";
import { identity } from "../text/documents.ts";
import { splitTokens } from "../text/split.ts";
import type { TokenizedText } from "../text/tokenized.ts";
import type { PrepareEvent } from "./events.ts";
import { identifier, shuffleDocuments } from "./many_documents.ts";
import { checkText } from "./resume.ts";

interface OrderOptions {
  /** The run that goes on with it. */
  resume?: Pick<Checkpoint, "text" | "input">;
  progress?: (event: PrepareEvent) => void;
  signal?: AbortSignal;
}

/**
 * @param corpus that `text` has the tokens of
 * @param random of the run, seeded: the order of documents is what it draws first
 * @throws DataError if the text is too short for the settings, or is not that of the run to resume
 * @throws ConfigError if val_fraction leaves nothing to train on, or to validate with
 */
export async function orderText(
  corpus: Corpus,
  config: ReadConfig,
  text: TokenizedText,
  random: PythonRandom,
  { resume, progress, signal }: OrderOptions = {},
) {
  const order = identity(corpus.num_docs);
  if (!isStream(corpus.format)) await shuffleDocuments(order, random, { progress, signal });
  const tokens = text.tokens(config.block_size, order, config);
  const identify = identifier(corpus, config, tokens, text.tokenizer, progress);
  if (resume) checkText(resume, await identify(signal));
  return { order, tokens, identify, ...splitTokens(config, tokens) };
}
