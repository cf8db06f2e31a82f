// Tokens as they are shown, each with its text, where characters and grapheme clusters stay whole.

import { TextStream } from "./text_stream.ts";
import type { Tokenizer } from "./tokenizer.ts";

export interface TokenPiece {
  id: number;
  /** Characters that are whole with this token; of a grapheme cluster the token with its first one has all. */
  text: string;
  /** What it is called where it is special. */
  name: string | null;
}

export function tokenPieces(tokenizer: Tokenizer, ids: readonly number[]): TokenPiece[] {
  const names = new Map([...tokenizer.special].map(([name, id]) => [id, name]));
  const stream = new TextStream(tokenizer);
  let text = "";
  /** Where the text of each token begins. */
  const begins: number[] = [];
  for (const id of ids) {
    begins.push(text.length);
    text += stream.push([id]);
  }
  text += stream.end();
  const clusters = new Intl.Segmenter("en", { granularity: "grapheme" }).segment(text);
  // A boundary within a cluster goes to its end.
  const moved = begins.map((at) => {
    if (at === text.length) return at;
    const { index, segment } = clusters.containing(at)!;
    return index === at ? at : index + segment.length;
  });
  return ids.map((id, i) => {
    const name = names.get(id) ?? null;
    return { id, text: text.slice(moved[i], moved[i + 1]), name };
  });
}
