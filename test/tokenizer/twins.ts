// BPE as it is defined, and as slow as that is: what the fast one is held against.

import { type BpePattern, patterns } from "../../src/tokenizer/pretokens.ts";

/** The pattern as JavaScript has it: its own \s is not Unicode's White_Space. */
function regexOf(pattern: BpePattern): RegExp {
  const unicode = patterns[pattern].replaceAll(String.raw`\s`, String.raw`\p{White_Space}`);
  return new RegExp(unicode.replaceAll(String.raw`\S`, String.raw`\P{White_Space}`), "gu");
}

export function pretokensOf(text: string, pattern: BpePattern): string[] {
  return text.match(regexOf(pattern)) ?? [];
}

const bytesOf = (text: string) => Array.from(new TextEncoder().encode(text));

function mergeAll(ids: readonly number[], [left, right]: readonly number[], id: number): number[] {
  const merged: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    const isPair = ids[i] === left && ids[i + 1] === right;
    merged.push(isPair ? id : ids[i]);
    if (isPair) i++;
  }
  return merged;
}

/** Merges learnt from pre-tokens: all pairs are counted anew for each. The n-th makes token 256 + n. */
export function trainTwin(pretokens: readonly string[], most: number): [number, number][] {
  let texts = pretokens.map(bytesOf);
  const merges: [number, number][] = [];
  while (merges.length < most) {
    const counts = new Map<string, number>();
    for (const ids of texts) {
      for (let i = 0; i + 1 < ids.length; i++) {
        const pair = `${ids[i]},${ids[i + 1]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    }
    const [first] = [...counts]
      .map(([pair, count]) => ({ pair: pair.split(",").map(Number), count }))
      .toSorted((a, b) => b.count - a.count || a.pair[0] - b.pair[0] || a.pair[1] - b.pair[1]);
    if (first === undefined || first.count < 2) break;
    const [left, right] = first.pair;
    texts = texts.map((ids) => mergeAll(ids, first.pair, 256 + merges.length));
    merges.push([left, right]);
  }
  return merges;
}

/** Ids of a text: each merge in turn, everywhere in each pre-token. */
export function encodeTwin(
  text: string,
  merges: readonly (readonly number[])[],
  pattern: BpePattern,
): number[] {
  return pretokensOf(text, pattern).flatMap((pretoken) => {
    let ids = bytesOf(pretoken);
    merges.forEach((pair, rank) => {
      if (ids.length > 1) ids = mergeAll(ids, pair, 256 + rank);
    });
    return ids;
  });
}
