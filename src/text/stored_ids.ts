// Ids of a text, in memory or where there is more room: what of these is asked for is read when it is asked for.

import type { Ids } from "../ids.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

export abstract class StoredIds {
  abstract readonly length: number;
  /** Some of them, in memory. */
  abstract read(from: number, to: number): Ids;
  /** Some of them, of which nothing is read yet. */
  abstract subarray(from: number, to?: number): StoredIds;
  /** All of them by other numbers: those that stand at the place of the ones they have. */
  abstract renumbered(numbers: Uint32Array): StoredIds;

  *[Symbol.iterator](): Generator<number> {
    for (const part of partsOf(this)) yield* part;
  }
}

/** Where ids are put that are too many for memory. */
export interface IdStore {
  /** Puts some behind the others; later ones may be of wider numbers. Throws a DataError where there is no room. */
  append(ids: Ids): void;
  /** @param chars what each number stands for */
  end(chars: readonly string[]): StoredIds;
}

/** Ids of tokens that may have been put away before. */
interface CachedTokens extends IdStore {
  /** Undefined where they were not. */
  recall(): { ids: StoredIds; starts: Uint32Array } | undefined;
  /** @param starts where the documents begin, and the last one ends */
  keep(starts: Uint32Array, about: object): void;
  /** Gives up what was begun. */
  discard(): void;
}

/** What is kept of a text that is too large for memory: its tokens, and what takes long to find out. */
export interface TokenCache {
  tokens(tokenizer: Tokenizer): CachedTokens;
  /** What keep() was given under this key, as JSON has it; undefined where that is not there. */
  recall(key: readonly unknown[]): unknown;
  keep(key: readonly unknown[], value: unknown): void;
}

/** Ids that are read at a time where all of them are. */
const PART = 2 ** 20;

/** Some ids, in memory. */
export function readIds<T extends Ids | Int32Array>(
  ids: T | StoredIds,
  from: number,
  to: number,
): T | Ids {
  return ids instanceof StoredIds ? ids.read(from, to) : (ids.subarray(from, to) as T);
}

/** All of them, a part at a time. */
export function* partsOf(ids: Ids | StoredIds): Generator<Ids> {
  for (let from = 0; from < ids.length; from += PART) {
    yield readIds(ids, from, Math.min(ids.length, from + PART));
  }
}
