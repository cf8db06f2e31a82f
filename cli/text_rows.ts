// What is said about a text before it is trained on.

import type { Coverage } from "../src/text/coverage.ts";
import { percent } from "./format.ts";

interface TextFacts extends Coverage {
  format_reason: string | null;
  skipped: readonly string[];
}

/** Rows of a header: how the text is read, and what of it the context leaves unread. */
export function textRows({
  format_reason,
  skipped,
  ...coverage
}: TextFacts): [label: string, text: string][] {
  const rows: [string, string][] = [];
  if (format_reason !== null) {
    const other = format_reason.startsWith("text") ? "lines" : "text";
    rows.push(["format", `${format_reason}; --format ${other} if that is not so`]);
  }
  if (skipped.length > 0) rows.push(["skipped", skipped.join(", ")]);
  if (coverage.num_unread > 0) rows.push(["unread", unread(coverage)]);
  return rows;
}

function unread({ num_chars, num_unread, fitting_block_size }: Coverage): string {
  const share = num_unread / num_chars;
  const what = share < 0.001 ? "less than 0.1 %" : percent(share);
  const part = share > 0.01 ? "99 % of them" : "all of them";
  const longer =
    fitting_block_size === null ? "" : `--block-size ${fitting_block_size} reads ${part}, `;
  return `${what} of the characters, beyond the context: ${longer}--format text${longer ? "" : " reads"} all`;
}
