// The documents of a text as sequences of tokens, each made when it is asked for: millions of them take no more memory
// than their characters do.

import type { Ids } from "../ids.ts";
import { StoredIds } from "./stored_ids.ts";

/** Sequences of tokens; an array of them will do. */
export interface Sequences {
  readonly length: number;
  /**
   * [BOS] + ids + [BOS] of a document, cut to the tokens that the context can use; undefined beyond the last. A token
   * that is read but not predicted is ~id.
   */
  at(index: number): Int32Array | undefined;
  slice(from: number, to?: number): Sequences;
}

export class Documents implements Sequences {
  /** Which document comes when. */
  protected readonly order: Uint32Array;
  private readonly ids: Ids | StoredIds;
  private readonly starts: Uint32Array;
  private readonly bos: number;
  private readonly block_size: number;

  /**
   * @param ids of all documents, one after the other
   * @param starts where each begins, and after the last one where it ends
   * @param order which document comes when, each once at most
   */
  constructor(
    ids: Ids | StoredIds,
    starts: Uint32Array,
    bos: number,
    block_size: number,
    order = identity(starts.length - 1),
  ) {
    this.ids = ids;
    this.starts = starts;
    this.bos = bos;
    this.block_size = block_size;
    this.order = order;
  }

  get length(): number {
    return this.order.length;
  }

  at(index: number): Int32Array | undefined {
    if (index >= this.length) return undefined;
    const sequence = new Int32Array(this.lengthOf(index));
    this.write(index, sequence, 0);
    return sequence;
  }

  /**
   * Puts a document's sequence where there is room for it.
   * @returns the place behind it
   */
  write(index: number, to: Int32Array | Uint32Array, at: number): number {
    const { ids, starts, bos } = this;
    const document = this.order[index];
    const last = at + this.positionsOf(document);
    const start = starts[document];
    const length = Math.min(last - at, starts[document + 1] - start);
    to[at] = to[last] = bos;
    // Of short documents a view of each would take longer than what is in it.
    if (ids instanceof StoredIds) to.set(ids.read(start, start + length), at + 1);
    else for (let i = 0; i < length; i++) to[at + 1 + i] = ids[start + i];
    return last + 1;
  }

  /** Tokens of a sequence that are predicted. */
  positions(index: number): number {
    return this.positionsOf(this.order[index]);
  }

  /** Tokens of a sequence. */
  lengthOf(index: number): number {
    return this.tokensOf(this.order[index]);
  }

  /** Tokens of all sequences that are predicted. */
  get num_positions(): number {
    return this.sum((document) => this.positionsOf(document));
  }

  /** Tokens of all sequences. */
  get num_tokens(): number {
    return this.sum((document) => this.tokensOf(document));
  }

  /** All documents are gone through as they lie in memory, which is many times faster than in another order. */
  private sum(of: (document: number) => number): number {
    const { order, starts } = this;
    const whole = order.length === starts.length - 1;
    let sum = 0;
    for (let k = 0; k < order.length; k++) sum += of(whole ? k : order[k]);
    return sum;
  }

  /** As positions(), by the document's place in the text. */
  protected positionsOf(document: number): number {
    const { starts, block_size } = this;
    return Math.min(starts[document + 1] - starts[document] + 1, block_size);
  }

  /** As lengthOf(), by the document's place in the text. */
  protected tokensOf(document: number): number {
    return this.positionsOf(document) + 1;
  }

  slice(from: number, to?: number): Documents {
    return this.with(this.order.subarray(from, to));
  }

  /** The same ones, the one of number order[k] at place k. */
  inOrder(order: Uint32Array): Documents {
    const { order: now } = this;
    return this.with(Uint32Array.from(order, (index) => now[index]));
  }

  protected with(order: Uint32Array): Documents {
    return new Documents(this.ids, this.starts, this.bos, this.block_size, order);
  }
}

/** Tokens of a sequence that are predicted from those before them. */
export function numTargets(sequence: Int32Array): number {
  let count = 0;
  for (let t = 1; t < sequence.length; t++) if (sequence[t] >= 0) count++;
  return count;
}

/** 0, 1, 2 … */
export function identity(length: number): Uint32Array {
  const order = new Uint32Array(length);
  for (let i = 0; i < length; i++) order[i] = i;
  return order;
}

/** Tokens of a sequence. */
export function lengthAt(sequences: Sequences, index: number): number {
  return sequences instanceof Documents ? sequences.lengthOf(index) : sequences.at(index)!.length;
}

/** Puts a sequence where there is room for it, and gives the place behind it. */
export function writeAt(
  sequences: Sequences,
  index: number,
  to: Int32Array | Uint32Array,
  at: number,
): number {
  if (sequences instanceof Documents) return sequences.write(index, to, at);
  const sequence = sequences.at(index)!;
  to.set(sequence, at);
  return at + sequence.length;
}

/** Tokens of all sequences that are predicted. */
export function countPositions(sequences: Sequences): number {
  if (sequences instanceof Documents) return sequences.num_positions;
  let sum = 0;
  for (let d = 0; d < sequences.length; d++) sum += positionsAt(sequences, d);
  return sum;
}

/** Tokens of all sequences. */
export function countTokens(sequences: Sequences): number {
  if (sequences instanceof Documents) return sequences.num_tokens;
  let sum = 0;
  for (let d = 0; d < sequences.length; d++) sum += lengthAt(sequences, d);
  return sum;
}

/** Tokens of a sequence that are predicted. */
export function positionsAt(sequences: Sequences, index: number): number {
  return sequences instanceof Documents
    ? sequences.positions(index)
    : numTargets(sequences.at(index)!);
}
