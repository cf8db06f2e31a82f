// The known name that a misspelled one most likely stands for.

/** The candidate that takes the fewest changes of a letter, undefined if all take too many. */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((candidate) => ({ candidate, changes: distance(name, candidate) }))
    .sort((a, b) => a.changes - b.changes);
  return ranked[0].changes <= Math.max(2, name.length / 3) ? ranked[0].candidate : undefined;
}

/** Letters to insert, delete or replace on the way from a to b (Levenshtein's distance). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
