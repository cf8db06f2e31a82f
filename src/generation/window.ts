// What a model sees of a text that has become longer than its context.

/**
 * Its last block_size tokens; the first of them is the text's own where that stays: of a document BOS, the only token
 * that such a model has ever seen at the first position.
 */
export function windowOf(
  tokens: readonly number[],
  { block_size, keeps_first }: { block_size: number; keeps_first: boolean },
): readonly number[] {
  if (tokens.length <= block_size) return tokens;
  const last = (count: number) => tokens.slice(tokens.length - count);
  return keeps_first ? [tokens[0], ...last(block_size - 1)] : last(block_size);
}
