// What `tokenize` prints of tokens: a text in their colours, a table of them, and how well they suit a text.

import { count, plural } from "../src/count.ts";
import type { TextFacts } from "../src/text/facts.ts";
import { tokenPieces } from "../src/tokenizer/pieces.ts";
import type { Tokenizer } from "../src/tokenizer/tokenizer.ts";
import { aligned, percent } from "./format.ts";
import type { Output } from "./run.ts";
import { printable } from "./samples.ts";

/** Backgrounds of neighbours, of the 256 colours of terminals, under black. */
const COLOURS = [153, 194, 224, 229, 183, 223];
/** Longest tokens that are told. */
const LONGEST = 10;

/** A line of JSON's worth: ids, and the text of each token, with the bytes that are no character by themselves. */
export function jsonTokens(tokenizer: Tokenizer, ids: readonly number[]) {
  return { ids, tokens: ids.map((id) => textOf(tokenizer, id)) };
}

/** A token's text; bytes of a part of a character are written as <0xE2>. */
function textOf(tokenizer: Tokenizer, id: number): string {
  const bytes = tokenizer.bytes(id);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return [...bytes].map((byte) => `<0x${hex(byte).toUpperCase()}>`).join("");
  }
}

const hex = (byte: number) => byte.toString(16).padStart(2, "0");

/** The text in the colours of its tokens, or with | between them, and each of them in a row. */
export function shownTokens(
  tokenizer: Tokenizer,
  ids: readonly number[],
  text: string,
  out: Pick<Output, "isTTY" | "hasColors">,
): string {
  const colours = out.isTTY && out.hasColors?.();
  const pieces = tokenPieces(tokenizer, ids).filter((piece) => piece.text !== "");
  const line = pieces.map((piece, i) => {
    const shown = printable(piece.text);
    if (!colours) return shown;
    // A line's end would colour the rest of the terminal's line.
    const paint = (part: string) => `\x1b[30;48;5;${COLOURS[i % COLOURS.length]}m${part}\x1b[0m`;
    return shown
      .split("\n")
      .map((part) => part && paint(part))
      .join("\n");
  });
  const bytes = new TextEncoder().encode(text).length;
  const each =
    ids.length === 0 ? "" : `, ${([...text].length / ids.length).toFixed(2)} characters each`;
  const rows = ids.map((id) => [
    String(id),
    [...tokenizer.bytes(id)].map(hex).join(" "),
    printable(JSON.stringify(textOf(tokenizer, id))),
  ]);
  return [
    `${plural(ids.length, "token")} of ${plural(bytes, "byte")}${each}`,
    ...(ids.length === 0
      ? []
      : [line.join(colours ? "" : "|"), aligned([["id", "bytes", "text"], ...rows], 3)]),
    ``,
  ].join("\n");
}

/** @param facts of a text; undefined where there is none */
export function statistics(facts: TextFacts | undefined, tokenizer: Tokenizer): string {
  const { vocab_size } = tokenizer;
  const lines = [
    `vocabulary  ${plural(vocab_size, "token")}, ${tokenizer.special.size} of them special`,
  ];
  if (facts) {
    const { num_text_tokens, num_chars, num_bytes, num_unknown } = facts;
    if (num_text_tokens === 0) {
      lines.push(
        `tokens      0 in ${plural(num_chars, "character")} (${plural(num_bytes, "byte")})`,
      );
    } else {
      const each = (n: number) => (n / num_text_tokens).toFixed(2);
      lines.push(
        `tokens      ${count(num_text_tokens)} of ${each(num_chars)} characters (${each(num_bytes)} bytes) each`,
        `unknown     ${percent(num_unknown / num_text_tokens)}: ${plural(num_unknown, "token")}`,
      );
    }
  }
  const ids = Array.from({ length: vocab_size }, (_, id) => id);
  const longest = ids
    .toSorted((a, b) => tokenizer.byteLength(b) - tokenizer.byteLength(a) || a - b)
    .slice(0, LONGEST)
    .map((id) => printable(JSON.stringify(textOf(tokenizer, id))));
  return [...lines, `longest     ${longest.join(" ")}`, ``].join("\n");
}
