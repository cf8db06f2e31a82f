// What parts a text before BPE: as a tokenizer.json writes it, and by the names that llama.cpp has for it.

import { isObject } from "../../strict_json.ts";
import { patterns } from "../../tokenizer/pretokens.ts";

interface Pretokenizer {
  /** As tokenizer.ggml.pre has it. */
  names: readonly string[];
  /** What a tokenizer.json has in order: regular expressions, and Digits. The first is the one that is written. */
  steps: readonly string[][];
  /** Whether a word that is a token is that one, whatever its merges. */
  ignore_merges: boolean;
}

const DIGITS = "Digits";
const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const marks = String.raw` ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const word = String.raw`[^\r\n\p{L}\p{N}]?\p{L}+`;
const gpt4 = [
  [patterns.gpt4],
  [`${contractions}|${word}|${String.raw`\p{N}{1,3}`}|${marks}`],
  [
    `(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|${word}|${String.raw`\p{N}{1,3}`}|${marks}`,
  ],
];

/** The first name of each is the one that is written. */
const pretokenizers: readonly Pretokenizer[] = [
  { names: ["gpt-2"], steps: [[patterns.gpt2]], ignore_merges: false },
  { names: ["dbrx", "smaug-bpe"], steps: gpt4, ignore_merges: false },
  { names: ["llama-bpe", "llama3", "llama-v3"], steps: gpt4, ignore_merges: true },
  {
    names: ["qwen2"],
    steps: [[`${contractions}|${word}|${String.raw`\p{N}`}|${marks}`]],
    ignore_merges: false,
  },
  {
    names: ["smollm"],
    steps: [
      [DIGITS, patterns.gpt2],
      [String.raw`\p{N}`, patterns.gpt2],
    ],
    ignore_merges: false,
  },
];

/** For a sentence. */
export const pretokenizerNames = pretokenizers.flatMap(({ names }) => names).join(", ");

/** llama.cpp's name of what a tokenizer.json has; undefined if it has none. */
export function nameOfPretokenizer(json: unknown, ignore_merges: boolean): string | undefined {
  const own = stepsOf(json)?.join("\n");
  return pretokenizers.find(
    (known) =>
      known.ignore_merges === ignore_merges &&
      known.steps.some((steps) => steps.join("\n") === own),
  )?.names[0];
}

/** What a tokenizer.json has for one of llama.cpp's names; undefined if it is none that is known here. */
export function pretokenizerOf(name: string) {
  const found = pretokenizers.find(({ names }) => names.includes(name));
  if (found === undefined) return undefined;
  const { steps, ignore_merges } = found;
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true };
  const parts = steps[0].map((step) =>
    step === DIGITS
      ? { type: "Digits", individual_digits: true }
      : { type: "Split", pattern: { Regex: step }, behavior: "Isolated", invert: false },
  );
  return {
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [...parts, { ...byteLevel, use_regex: false }],
    },
    decoder: { ...byteLevel, use_regex: true },
    ignore_merges,
  };
}

/** @returns undefined if there is a step that llama.cpp has no like of, or bytes are not what comes of it */
function stepsOf(json: unknown): string[] | undefined {
  if (!isObject(json)) return undefined;
  const all = json.type === "Sequence" ? json.pretokenizers : [json];
  if (!Array.isArray(all) || all.length === 0) return undefined;
  const steps = all.map((step, i) => stepOf(step, i === all.length - 1));
  return steps.includes(undefined) ? undefined : (steps as string[][]).flat();
}

/** ByteLevel comes last, and alone; by itself it has GPT-2's pattern. */
function stepOf(step: unknown, isLast: boolean): string[] | undefined {
  if (!isObject(step) || isLast !== (step.type === "ByteLevel")) return undefined;
  if (step.type === "ByteLevel") {
    if (step.add_prefix_space === true) return undefined;
    return (step.use_regex ?? true) === true ? [patterns.gpt2] : [];
  }
  if (step.type === "Digits") return step.individual_digits === true ? [DIGITS] : undefined;
  const isPlain = step.type === "Split" && step.behavior === "Isolated" && step.invert !== true;
  if (!isPlain || !isObject(step.pattern) || typeof step.pattern.Regex !== "string") {
    return undefined;
  }
  return [step.pattern.Regex];
}
