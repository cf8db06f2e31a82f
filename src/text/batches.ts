// Tokenized text to the batch of a step: a pure function of the step, so that a run can be resumed.

import type { Config } from "../config.ts";
import { numTargets, positionsAt, type Sequences } from "./documents.ts";
import { TokenStream } from "./stream.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** Target of a position that counts neither in the loss nor in any gradient. */
export const IGNORED = -1;

/** What is trained on: documents in their order, or windows of a stream. */
export type Examples = Sequences | TokenStream;

export interface Batch {
  B: number;
  T: number;
  /** (B, T) token ids; 0 where a document has ended. */
  inputs: Int32Array;
  /** (B, T) ids of the next tokens; IGNORED where a document has ended, or is not to be predicted. */
  targets: Int32Array;
  /** Positions that are not IGNORED. */
  num_targets: number;
}

/** [BOS] + ids + [BOS] of every document, cut to the tokens that block_size positions can use. */
export function tokenizeDocuments(
  documents: readonly string[],
  tokenizer: Tokenizer,
  block_size: number,
): Int32Array[] {
  return documents.map((document) =>
    Int32Array.from(
      [tokenizer.bos, ...tokenizer.encode(document), tokenizer.bos].slice(0, block_size + 1),
    ),
  );
}

/**
 * The batch of `step` (from 0): B windows of the stream, or documents (step·B + b) mod their number, b = 0..B-1.
 * @param T positions a row; the longest sequence of the batch where absent
 */
export function batchAt(examples: Examples, step: number, B: number, T?: number): Batch {
  const { batches } = microBatchesAt(examples, step, { batch_size: B, grad_accumulation: 1 }, T);
  return batches.next().value!;
}

/**
 * The micro-batches of `step` (from 0), each of batch_size rows: together the rows of a batch that is grad_accumulation
 * times as large; and the positions of all of them that count.
 * @param T positions a row; the longest sequence of each micro-batch where absent
 */
export function microBatchesAt(
  examples: Examples,
  step: number,
  { batch_size, grad_accumulation }: Pick<Config, "batch_size" | "grad_accumulation">,
  T?: number,
): { batches: Generator<Batch, undefined>; num_targets: number } {
  const count = batch_size * grad_accumulation;
  let num_targets = 0;
  for (let b = 0; b < count; b++) num_targets += targetsAt(examples, step * count + b);
  function* batches(): Generator<Batch, undefined> {
    for (let first = 0; first < count; first += batch_size) {
      const rows = Array.from({ length: batch_size }, (_, b) =>
        rowAt(examples, step, count, first + b),
      );
      yield packBatch(rows, batch_size, T);
    }
  }
  return { batches: batches(), num_targets };
}

/** Row b of the `count` that a step has. */
function rowAt(examples: Examples, step: number, count: number, b: number): Int32Array {
  if (examples instanceof TokenStream) return examples.windowAt(step, b);
  return examples.at((step * count + b) % examples.length)!;
}

/** Positions of the row that count, the rows of all steps being in a row. */
function targetsAt(examples: Examples, row: number): number {
  if (examples instanceof TokenStream) return examples.block_size;
  return positionsAt(examples, row % examples.length);
}

/** All sequences in batches of B rows; the last one may have rows without a position that counts. */
export function* batchesOf(
  sequences: readonly Int32Array[],
  B: number,
  T?: number,
): Generator<Batch> {
  for (let first = 0; first < sequences.length; first += B) {
    yield packBatch(sequences.slice(first, first + B), B, T);
  }
}

/** B rows at most, each a sequence whose tokens are predicted from those before them; not those that are ~id. */
function packBatch(rows: readonly Int32Array[], B: number, T?: number): Batch {
  T ??= rows.reduce((longest, row) => Math.max(longest, row.length - 1), 1);
  const inputs = new Int32Array(B * T);
  const targets = new Int32Array(B * T).fill(IGNORED);
  let num_targets = 0;
  for (let b = 0; b < rows.length; b++) {
    const row = rows[b];
    for (let t = 0; t < row.length - 1; t++) {
      inputs[b * T + t] = row[t] < 0 ? ~row[t] : row[t];
      targets[b * T + t] = row[t + 1] < 0 ? IGNORED : row[t + 1];
    }
    num_targets += numTargets(row);
  }
  return { B, T, inputs, targets, num_targets };
}
