// Changes of a shader that make no difference to any number it writes, looked at one by one; mutants.ts leaves them out.

import type { Mutant } from "./mutants_of.ts";

interface Equivalent {
  /** The shader's file, where the line stands in others too. */
  file?: string;
  /** Of the changed line. */
  line: RegExp;
  /** The tokens, and what they become; anything where absent. */
  was: RegExp;
  is?: string;
  why: string;
}

const list: Equivalent[] = [
  {
    line: /^if \(i % X < step\) \{ partial\[i\]/,
    was: /^%$/,
    is: "/",
    why: "with one line of threads, as software GPUs have it: what else is added up is not read",
  },
  {
    line: /^if \((i|line) < half\) \{ (partial|line_sums)\[i\]/,
    was: /^<$/,
    is: "<=",
    why: "what is added to the first of the other half is not read again; lanes that run in step do not show the race",
  },
  {
    line: /^if \(i == 0u\) \{ rstd\[n\] = scale; \}|^if \(i == 0u && .* \{ partials\[.*\] = total; \}/,
    was: /^(==|0u)$/,
    why: "all threads have the same number: whichever of them writes it",
  },
  {
    line: /^let changed = /,
    was: /^(planes|1\.0)$/,
    why: "all sums are written then: what is written where nothing changed is what stood there",
  },
  {
    line: /^let changed = /,
    was: /^1u$/,
    is: "0u",
    why: "as above",
  },
  {
    line: /norm > sizes\.grad_clip/,
    was: /^>$/,
    is: ">=",
    why: "a norm of grad_clip makes a factor of 1",
  },
  {
    line: /^for \(var n = 8\.0; n > 1\.0; n -= 1\.0\)/,
    was: /^1\.0$/,
    is: "(1.0 + 0.5)",
    why: "n takes whole numbers: 2 is above both",
  },
  {
    line: /logits\[i\] = capped\(logits\[i\]\); \}/,
    was: /^<$/,
    is: "<=",
    why: "what stands behind the logits is no number, and as it is none it keeps its bits",
  },
  {
    line: /^if \(sizes\.positions > 0u\) \{ position = wpe/,
    was: /^(>|positions)$/,
    why: "where there are no positions, what is bound in their place holds zeros",
  },
  {
    line: /^fn other\(i: u32\)/,
    was: /^(-|1u)$/,
    why: "the number beside a last channel that has no other: it is multiplied, and never stored",
  },
  {
    file: "matmul_rows",
    line: /^if \(m >= sizes\.M\) \{ return; \}/,
    was: /^>=$/,
    is: ">",
    why: "the rows behind the last one are summed then, and not stored: store() looks itself",
  },
  {
    file: "matmul_rows",
    line: /^if \(rows > [14]u\) \{/,
    was: /^>$/,
    is: ">=",
    why: "rows that are not there are summed then, and not stored",
  },
  {
    line: /^let near = clamp\(x, -10\.0, 10\.0\)/,
    was: /^10\.0$/,
    is: "(10.0 + 0.5)",
    why: "from 10 on sigmoid is 0 or 1 to float32",
  },
];

/** Why a change makes no difference; undefined where it is not known to make none. */
export function whyEquivalent({ file, text, was, is }: Mutant): string | undefined {
  const same = (wanted: string | undefined, found: string) => (wanted ?? found) === found;
  return list.find(
    (one) => same(one.file, file) && same(one.is, is) && one.line.test(text) && one.was.test(was),
  )?.why;
}
