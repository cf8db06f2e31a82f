// Texts that tokenizers are tried on.

import fc from "fast-check";
import { finish } from "../../src/finish.ts";
import { PretokenCounts } from "../../src/tokenizer/count_pretokens.ts";
import type { BpeTokenizer } from "../../src/tokenizer/bpe.ts";
import { type BpeTraining, trainBpe } from "../../src/tokenizer/bpe_train.ts";
import type { BpePattern } from "../../src/tokenizer/pretokens.ts";

export function train(
  text: string,
  options: BpeTraining,
  pattern: BpePattern = "gpt2",
): BpeTokenizer {
  const counts = new PretokenCounts(pattern);
  counts.push(text);
  return finish(trainBpe(counts.end(), options));
}

/** All that the patterns tell apart, so that each comes next to each other soon. */
const parts = [
  ..."aZé漢1٣Ⅷ.,!(-_'\u2019 \t\n\r\u00a0\u2003\u0085\ufeff\u0000\u0301\u{1F600}\u{1D7D8}\u{20000}",
  ..."'s|'ll|'RE|'Ve|'d|'x|don't|12345|  |\r\n| a| 1| .|\ud83d|\ude00".split("|"),
];

export const texts = fc
  .array(fc.constantFrom(...parts), { maxLength: 40 })
  .map((chosen) => chosen.join(""));

/** Of any code points; halves of surrogate pairs too, which are no text. */
export const strings = fc
  .array(fc.integer({ min: 0, max: 0x10ffff }), { maxLength: 20 })
  .map((codes) => String.fromCodePoint(...codes));

/** Of few letters, so that tokens overlap and are equally often there. */
export const dullTexts = fc
  .array(fc.constantFrom("a", "b", "aa", "ab", " ", "é", "aab", "bbb"), { maxLength: 60 })
  .map((chosen) => chosen.join(""));

/** Prose of a kind, with contractions, numbers and other scripts, the same in every run. */
export function prose(sentences: number): string {
  const words =
    `the king's men don't fear 1999 nights, they'll ride; WE'RE lost in 3.14159 storms said Anna, "who'd know?" ` +
    `über façade naïve 北京 天氣 很好 привет мир 🙂 👩‍👩‍👧 x_1 = f(y2); if (a && b) { return -1; } http://a.b/c?d=e`;
  const list = words.split(" ");
  let state = 1;
  const next = () => (state = Math.imul(state, 1103515245) + 12345) >>> 16;
  const syllables = "ba be du ki lo ma no pre qui ras sto tri un ver wor zen ing ed".split(" ");
  const made = () =>
    Array.from({ length: 1 + (next() % 4) }, () => syllables[next() % 18]).join("");
  const word = () => (next() % 2 ? list[next() % list.length] : made());
  return Array.from({ length: sentences }, () =>
    Array.from({ length: 3 + (next() % 9) }, word).join(" "),
  ).join(".\n\n  ");
}
