// What is said about a text before it is trained on.

import { count, plural } from "../src/count.ts";
import type { TextFacts } from "../src/text/facts.ts";
import { percent } from "./format.ts";

/** Rows of a header: how the text is read, what its tokens are, and what of it the context leaves unread. */
export function textRows(facts: TextFacts): [label: string, text: string][] {
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
  const [, why] = tokenizer_reason?.split(": ") ?? [];
  const other = tokenizer === "char" ? "bpe" : "char";
  return (
    `${tokenizer}, ${count(num_text_tokens)} of ${each(num_chars)} characters (${each(num_bytes)} bytes) each${unknown}` +
    (why === undefined ? "" : ` (auto: ${why}; or --tokenizer ${other})`)
  );
}

function unread({ num_text_tokens, num_unread, fitting_block_size, ...facts }: TextFacts): string {
  const share = num_unread / num_text_tokens;
  const what = share < 0.001 ? "less than 0.1 %" : percent(share);
  const things = facts.tokenizer === "char" ? "characters" : "tokens";
  const part = share > 0.01 ? "99 % of them" : "all of them";
  const longer =
    fitting_block_size === null ? "" : `--block-size ${fitting_block_size} reads ${part}, `;
  return `${what} of the ${things}, beyond the context: ${longer}--format text${longer ? "" : " reads"} all`;
}
