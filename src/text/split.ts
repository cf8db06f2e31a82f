// Tokens of a text, split into what is trained on and what is held out to validate with.

import { isDrawn } from "../choices.ts";
import type { Config } from "../config.ts";
import { plural } from "../count.ts";
import { ConfigError, DataError } from "../errors.ts";
import type { Examples } from "./batches.ts";
import { drawBlocks, type Segment } from "./blocks.ts";
import { countPositions, type Sequences } from "./documents.ts";
import { readIds, StoredIds } from "./stored_ids.ts";
import { type Stream, TokenStream } from "./stream.ts";

/**
 * Positions that a validation looks at, at most: enough that the mean of their losses is sure to about 0.01,
 * few enough to take no longer than some training steps.
 */
const MOST_POSITIONS = 2 ** 15;

type DataConfig = Pick<Config, "format" | "block_size" | "val_fraction" | "val_split" | "seed"> &
  Partial<Pick<Config, "tokenizer">>;

/** The documents in the order of training, or the stream. */
export type Tokens = Sequences | Stream;

export function isOneStream(tokens: Tokens): tokens is Stream {
  return ArrayBuffer.isView(tokens) || tokens instanceof StoredIds;
}

export interface Split {
  train: Examples;
  /** Sequences whose loss is the validation loss; none where nothing is held out. */
  validation: Int32Array[];
  /** Documents that are held out. */
  num_val_docs: number;
  /** Tokens of the stream, or of the documents what the context holds, all of them… */
  num_tokens: number;
  /** …and those that are held out. */
  num_val_tokens: number;
}

/**
 * Holds out the last val_fraction, or blocks of a stream that are as much.
 * @throws DataError if the stream is shorter than a window
 * @throws ConfigError if val_fraction leaves one of the two parts without a document or window
 */
export function splitTokens(config: DataConfig, tokens: Tokens): Split {
  return isOneStream(tokens) ? splitStream(config, tokens) : splitDocs(config, tokens);
}

/** Of `count` documents or tokens. */
export function heldOut({ val_fraction }: Pick<Config, "val_fraction">, count: number): number {
  return Math.round(val_fraction * count);
}

function splitDocs(config: DataConfig, sequences: Sequences): Split {
  const { val_fraction } = config;
  const docs = sequences.length;
  const held = heldOut(config, docs);
  if (val_fraction > 0 && (held === 0 || held === docs)) {
    const what = held === 0 ? "holds out none of them" : "leaves none of them to train on";
    throw new ConfigError(
      "val_fraction",
      `The text has ${plural(docs, "document")}, and a val_fraction of ${val_fraction} ${what}; choose a ` +
        `${held === 0 ? "larger" : "smaller"} one, or train on more documents.`,
    );
  }
  return {
    train: sequences.slice(0, docs - held),
    validation: evenly(held, config, (d) => sequences.at(docs - held + d)!),
    num_val_docs: held,
    num_tokens: countPositions(sequences),
    num_val_tokens: countPositions(sequences.slice(docs - held)),
  };
}

/** The tokenizers that make shorter tokens. */
const finer: Record<Config["tokenizer"], string | null> = {
  char: null,
  word: "bpe or char",
  bpe: "char",
  file: null,
};

function splitStream(config: DataConfig, tokens: Stream): Split {
  const { block_size, val_fraction, tokenizer = "file" } = config;
  const needed = block_size + 1;
  if (tokens.length < needed) {
    const longest = tokens.length - 1;
    const ways = [
      ...(longest > 0 ? [`a block_size of at most ${longest}, or `] : []),
      ...(finer[tokenizer] === null
        ? []
        : [`tokenizer ${finer[tokenizer]}, with more tokens for the same text, or `]),
      "a longer text",
    ];
    throw new DataError(
      `The text has ${plural(tokens.length, "token")}, and a window of it takes ${needed}: ` +
        `block_size ${block_size}, and the token after it. Choose ${ways.join("")}.`,
    );
  }
  const held = heldOut(config, tokens.length);
  const rest = tokens.length - held;
  if (val_fraction > 0 && Math.min(held, rest) < needed) {
    const [what, better] =
      rest < needed ? [`leaves ${rest} to train on`, "smaller"] : [`holds out ${held}`, "larger"];
    throw new ConfigError(
      "val_fraction",
      `Of the text's ${plural(tokens.length, "token")} a val_fraction of ${val_fraction} ${what}, and a window takes ` +
        `${needed}: block_size ${block_size}, and the token after it. Choose a ${better} val_fraction, a smaller ` +
        `block_size or a longer text.`,
    );
  }
  const length = tokens.length;
  const parts =
    held > 0 && isDrawn(config.val_split)
      ? drawBlocks(length, held, { window: needed, seed: config.seed })
      : { held: [[rest, length] as const], rest: [[0, rest] as const] };
  const sum = (segments: readonly Segment[]) =>
    segments.reduce((sum, [start, end]) => sum + end - start, 0);
  return {
    train: new TokenStream(tokens, config, parts.rest),
    validation: consecutive(tokens, config, parts.held),
    num_val_docs: 0,
    num_tokens: length,
    num_val_tokens: sum(parts.held),
  };
}

/** Windows that begin at the last token of the one before: each token but a segment's first is predicted once. */
function consecutive(
  tokens: Stream,
  config: DataConfig,
  segments: readonly Segment[],
): Int32Array[] {
  const { block_size } = config;
  const counts = segments.map(([start, end]) =>
    Math.ceil((Math.max(1, end - start) - 1) / block_size),
  );
  const window = (w: number) => {
    let s = 0;
    for (; w >= counts[s]; s++) w -= counts[s];
    const [first, end] = segments[s];
    const start = first + w * block_size;
    return new Int32Array(readIds(tokens, start, Math.min(end, start + block_size + 1)));
  };
  return evenly(
    counts.reduce((sum, count) => sum + count, 0),
    config,
    window,
  );
}

/** All sequences, or where they are too many, some at even distances: always the same ones. */
function evenly(
  count: number,
  { block_size }: DataConfig,
  sequence: (index: number) => Int32Array,
): Int32Array[] {
  const most = Math.max(1, Math.floor(MOST_POSITIONS / block_size));
  const taken = Math.min(count, most);
  return Array.from({ length: taken }, (_, i) =>
    sequence(count <= most ? i : Math.floor((i * count) / most)),
  );
}
