// The parts of a text that the page shows, of the whole of it at even distances; in tokens once a run has some.

import { tokenPieces } from "../src/tokenizer/pieces.ts";
import type { Tokenizer } from "../src/tokenizer/tokenizer.ts";

/** Documents that are shown, and characters of each. */
const MOST = 18;
const LENGTH = 300;

/** Backgrounds that neighbours have, see writing.css. */
const COLOURS = 6;

export function excerpts(documents: readonly string[]): string[] {
  const length = Math.min(documents.length, MOST);
  return Array.from({ length }, (_, i) =>
    documents[Math.floor((i * documents.length) / length)].slice(0, LENGTH),
  );
}

/** Each of them in the texts of its tokens. */
export function inTokens(texts: readonly string[], tokenizer: Tokenizer): string[][] {
  return texts.map((text) =>
    tokenPieces(tokenizer, [...tokenizer.encode(text.toWellFormed())])
      .map((piece) => piece.text)
      .filter((piece) => piece !== ""),
  );
}

/** A row in the colours of its tokens. */
export function createTokens(pieces: readonly string[]): HTMLElement {
  const item = document.createElement("li");
  const parts = pieces.map((piece, i) => {
    const part = document.createElement("span");
    part.className = `token token-${i % COLOURS}`;
    part.textContent = piece;
    return part;
  });
  item.append(...parts);
  if (pieces.some((piece) => piece.includes("\n"))) item.className = "passage";
  return item;
}
