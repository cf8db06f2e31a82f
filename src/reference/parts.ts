// Long operations in parts: on the CPU nothing else happens while one of them is computed, so each is a moment's work.

/** The `index`-th of `count` parts of what an operation writes. */
export interface Part {
  index: number;
  count: number;
}

export const WHOLE: Part = { index: 0, count: 1 };
const ONE: readonly Part[] = [WHOLE];

/** Floating-point operations of a part: some 20 ms of them. */
const PART_FLOPS = 3e7;

/** The parts of an operation of so many floating-point operations. */
export function partsOf(flops: number): readonly Part[] {
  if (flops <= PART_FLOPS) return ONE;
  const count = Math.ceil(flops / PART_FLOPS);
  return Array.from({ length: count }, (_, index) => ({ index, count }));
}

/**
 * The first of `rows` rows that a part holds. Rows that a product makes together are in the same part: pairs, and with
 * the last pair an odd one behind it.
 */
export function firstOf(rows: number, { index, count }: Part): number {
  const pairs = rows >> 1;
  return 2 * Math.floor((pairs * index) / count);
}

/** The row behind its last one. */
export function endOf(rows: number, { index, count }: Part): number {
  return index + 1 === count ? rows : firstOf(rows, { index: index + 1, count });
}

/** An operation of so many floating-point operations, a part at a time. */
export function* inParts(flops: number, operation: (part: Part) => void): Generator<void, void> {
  for (const part of partsOf(flops)) {
    operation(part);
    if (part.count > 1) yield;
  }
}
