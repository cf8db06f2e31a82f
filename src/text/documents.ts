// The documents of a text as sequences of tokens, each made when it is asked for: millions of them take no more memory
// than their characters do.

import type { Ids } from "../ids.ts";
import { readIds, type StoredIds } from "./stored_ids.ts";

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
   * @param order which document comes when
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
    const { ids, starts, bos } = this;
    const positions = this.positions(index);
    const start = starts[this.order[index]];
    const sequence = new Int32Array(positions + 1);
    sequence[0] = sequence[positions] = bos;
    const end = start + Math.min(positions, starts[this.order[index] + 1] - start);
    sequence.set(readIds(ids, start, end), 1);
    return sequence;
  }

  /** Tokens of a document that are predicted. */
  positions(index: number): number {
    const { starts, order, block_size } = this;
    const document = order[index];
    return Math.min(starts[document + 1] - starts[document] + 1, block_size);
  }

  /** Tokens of its sequence. */
  lengthOf(index: number): number {
    return this.positions(index) + 1;
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

/** Tokens of a sequence that are predicted. */
export function positionsAt(sequences: Sequences, index: number): number {
  return sequences instanceof Documents
    ? sequences.positions(index)
    : numTargets(sequences.at(index)!);
}
