// Changes of a shader that make no difference to any number it writes, looked at one by one; mutants.ts leaves them out.

import type { Mutant } from "./mutants_of.ts";

interface Equivalent {
  /** In the changed line. */
  line: string;
  /** The token, and what it becomes; anything where absent. */
  was: string;
  is?: string;
  why: string;
}

const list: Equivalent[] = [
  {
    line: "if (i < half) { partial[i] += partial[i + half]; }",
    was: "<",
    is: "<=",
    why: "the number added to partial[half] is not read again; lanes that run in step do not show the race",
  },
  {
    line: "if (i == 0u && g * sizes.chunk < sizes.size) { partials[sizes.first + g] = total; }",
    was: "==",
    why: "all threads have the same total: whichever of them writes it",
  },
  {
    line: "if (i == 0u && g * sizes.chunk < sizes.size) { partials[sizes.first + g] = total; }",
    was: "0u",
    why: "all threads have the same total: whichever of them writes it",
  },
  {
    line: "let changed = sizes.planes > 1u || factor != 1.0;",
    was: "1u",
    is: "0u",
    why: "what is written where nothing changed is what stood there",
  },
  {
    line: "let changed = sizes.planes > 1u || factor != 1.0;",
    was: "planes",
    is: "chunk",
    why: "what is written where nothing changed is what stood there",
  },
  {
    line: "let changed = sizes.planes > 1u || factor != 1.0;",
    was: ">",
    is: ">=",
    why: "what is written where nothing changed is what stood there",
  },
  {
    line: "let changed = sizes.planes > 1u || factor != 1.0;",
    was: "1.0",
    why: "what is written where nothing changed is what stood there",
  },
  {
    line: "norm > sizes.grad_clip",
    was: ">",
    is: ">=",
    why: "a norm of grad_clip makes a factor of 1",
  },
  {
    line: "for (var n = 8.0; n > 1.0; n -= 1.0)",
    was: "1.0",
    is: "(1.0 + 0.5)",
    why: "n takes whole numbers: 2 is above both",
  },
];

/** Why a change makes no difference; undefined where it is not known to make none. */
export function whyEquivalent({ text, was, is }: Mutant): string | undefined {
  return list.find(
    (one) => text.includes(one.line) && one.was === was && (one.is === undefined || one.is === is),
  )?.why;
}
