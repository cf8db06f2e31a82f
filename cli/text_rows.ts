// What is said about a text before it is trained on.

import { isChat } from "../src/choices.ts";
import { count, plural } from "../src/count.ts";
import type { Corpus } from "../src/text/corpus.ts";
import type { TextFacts } from "../src/text/facts.ts";
import { percent } from "./format.ts";
import { printable } from "./samples.ts";

/** Of the first documents so many are shown, so many characters of each, and of all. */
const [MOST_DOCUMENTS, MOST_OF_EACH, MOST_OF_ALL] = [3, 50, 90];

/** The beginnings of the first documents, or of the stream, as they are shown. */
export function firstDocuments(corpus: Corpus): string {
  const shown: string[] = [];
  let room = MOST_OF_ALL;
  for (let d = 0; d < Math.min(corpus.num_docs, MOST_DOCUMENTS) && room > 0; d++) {
    const [text, length] = beginning(startOf(corpus, d), MOST_OF_EACH);
    shown.push(text);
    room -= length;
  }
  return shown.join(", ") + (corpus.num_docs > shown.length ? ", …" : "");
}

/** Of a conversation, who says what. */
function startOf(corpus: Corpus, index: number): string {
  const turns = corpus.conversations[index];
  if (turns === undefined) return corpus.start(index, 4 * MOST_OF_EACH);
  return turns
    .map(({ role, content }) => `${role}: ${content}`)
    .join("\n")
    .slice(0, 4 * MOST_OF_EACH);
}

/** The first characters of a text as they are seen, in quotes, none of them cut in two; and how many they are. */
function beginning(text: string, most: number): [string, number] {
  const graphemes = [...new Intl.Segmenter().segment(text)].map(({ segment }) => segment);
  const cut = graphemes.length > most;
  const start = graphemes.slice(0, most).join("");
  return [printable(JSON.stringify(cut ? `${start}…` : start)), Math.min(graphemes.length, most)];
}

/**
 * Rows of a header: how the text is read, what its tokens are, what of it the context leaves unread, and how it begins.
 * @param first the beginnings of its first documents; null where they need not be shown
 */
export function textRows(facts: TextFacts, first: string | null): [label: string, text: string][] {
  const rows = factRows(facts);
  return first === null ? rows : [...rows, ["first", first]];
}

function factRows(facts: TextFacts): [label: string, text: string][] {
  const { format_reason, tokenizer, tokenizer_reason } = facts;
  const rows: [string, string][] = [];
  if (format_reason !== null) {
    const other = format_reason.startsWith("text") ? "lines" : "text";
    rows.push(["format", `${format_reason}; --format ${other} if that is not so`]);
  }
  if (facts.skipped.length > 0) rows.push(["skipped", facts.skipped.join(", ")]);
  // Of characters there is nothing more to tell, unless they were chosen.
  if (tokenizer !== "char" || tokenizer_reason !== null) rows.push(["tokens", tokens(facts)]);
  if (facts.num_unread > 0) rows.push(["unread", unread(facts)]);
  return rows;
}

function tokens(facts: TextFacts): string {
  const { tokenizer, tokenizer_reason, num_text_tokens, num_chars, num_bytes, num_unknown } = facts;
  const each = (n: number) => (n / num_text_tokens).toFixed(2);
  const unknown =
    num_unknown === 0
      ? ""
      : `, ${percent(num_unknown / num_text_tokens)} of them unknown: ${plural(num_unknown, "token")}`;
  const other = tokenizer === "char" ? "bpe" : "char";
  return (
    `${tokenizer}, ${count(num_text_tokens)} of ${each(num_chars)} characters (${each(num_bytes)} bytes) each${unknown}` +
    (tokenizer_reason === null ? "" : ` (auto: ${tokenizer_reason}; or --tokenizer ${other})`)
  );
}

function unread({ num_text_tokens, num_unread, fitting_block_size, ...facts }: TextFacts): string {
  const share = num_unread / num_text_tokens;
  const what = share < 0.001 ? "less than 0.1 %" : percent(share);
  const things = facts.tokenizer === "char" ? "characters" : "tokens";
  const part = share > 0.01 ? "99 % of them" : "all of them";
  const longer =
    fitting_block_size === null ? "" : `--block-size ${fitting_block_size} reads ${part}, `;
  // Turns that are no answers any more are no text to learn.
  const all = isChat(facts.format) ? "" : `--format text${longer ? "" : " reads"} all`;
  return `${what} of the ${things}, beyond the context: ${longer}${all}`.replace(/[,:] $/, "");
}
