// What a model sees of a text that has become longer than its context.

/** What a text's tokens must fit. */
export interface Context {
  block_size: number;
  /**
   * Whether the text's own first token stays before the others: of a document BOS, the only one that such a model has
   * ever seen at the first position.
   */
  keeps_first: boolean;
}

/** Tokens that leave a full context together: a quarter of those that may. */
function slideOf({ block_size, keeps_first }: Context): number {
  return Math.max(1, Math.floor((block_size - Number(keeps_first)) / 4));
}

/**
 * Tokens of a text of `length` that have left the context, the oldest ones behind the first where that stays: none as
 * long as it holds all, and then by slideOf() at a time, so that there is room for some more.
 */
export function droppedOf(length: number, context: Context): number {
  if (length <= context.block_size) return 0;
  const slide = slideOf(context);
  return Math.ceil((length - context.block_size) / slide) * slide;
}

/** Those that have not. */
export function windowOf(tokens: readonly number[], context: Context): readonly number[] {
  const dropped = droppedOf(tokens.length, context);
  if (dropped === 0) return tokens;
  const kept = Number(context.keeps_first);
  return [...tokens.slice(0, kept), ...tokens.slice(kept + dropped)];
}
