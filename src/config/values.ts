// What a text or a value from elsewhere is worth as a setting, and the sentence for what it may not be.

import type { Config, ConfigChoice } from "../config.ts";
import { ConfigError } from "../errors.ts";
import { show } from "../strict_json.ts";
import { MAX_INTEGER, offered, type Setting } from "./setting.ts";

/** Characters of a text that are told whole. */
const MOST_SHOWN = 60;
/** Characters of a setting that is a text, at most. */
const MOST_TEXT = 200;

const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * The value that `text` stands for.
 * @param label how the user wrote the setting (`--n-embd`, `MICROGPT_N_EMBD`), for the message
 * @throws ConfigError if the text is not of the setting's kind, or out of its range
 */
export function parseSetting(
  setting: Setting,
  text: string,
  label: string,
): ConfigChoice[keyof Config] {
  let value: unknown = text;
  if (setting.kind === "boolean" && (text === "true" || text === "1")) value = true;
  else if (setting.kind === "boolean" && (text === "false" || text === "0")) value = false;
  else if (setting.auto && text.trim() === "auto") value = "auto";
  else if (!isWord(setting) && decimal.test(text.trim())) value = Number(text);
  else if (setting.file && !setting.choices!.includes(text)) value = setting.file;
  return checkSetting(setting, value, label, text);
}

/**
 * The value, if the setting may have it.
 * @param text what the user wrote for the value
 * @throws ConfigError if it may not
 */
export function checkSetting(
  setting: Setting,
  value: unknown,
  label: string,
  text?: string,
): ConfigChoice[keyof Config] {
  const { kind, choices } = setting;
  let good: boolean;
  if (setting.auto && value === "auto") return value as ConfigChoice[keyof Config];
  if (kind === "boolean") good = typeof value === "boolean";
  else if (kind === "string") good = typeof value === "string" && value.length <= MOST_TEXT;
  else if (kind === "choice") good = typeof value === "string" && choices!.includes(value);
  else
    good =
      typeof value === "number" &&
      Number.isFinite(value) &&
      (kind === "number" || Number.isInteger(value)) &&
      isWithin(setting, value);
  if (good) {
    checkFloat32(setting, value, label, text);
    return value as ConfigChoice[keyof Config];
  }
  const shown = typeof value === "number" ? text : undefined; // 1e309, where the value is Infinity
  const got = shown ?? (typeof value === "object" ? show(value) : asWritten(value));
  const { max } = setting;
  const beyond = max === MAX_INTEGER && (value as number) > max ? ` and at most ${max}` : "";
  throw new ConfigError(
    setting.name,
    `${label} is ${got}; it must be ${describeRange(setting)}${beyond}${pointFor(setting, value)}.`,
  );
}

function asWritten(value: unknown): string {
  if (typeof value !== "string") return String(value);
  return value.length > MOST_SHOWN ? show(value) : `"${value}"`;
}

/** Whether what looks like a number is none. */
function isWord({ kind }: Setting): boolean {
  return kind === "choice" || kind === "string";
}

/** With a decimal comma there is no number: how it is written. */
function pointFor({ kind }: Setting, value: unknown): string {
  const comma = typeof value === "string" && /^[+-]?\d+,\d+(e[+-]?\d+)?$/i.test(value.trim());
  return comma && kind === "number" ? `, with a point: ${value.trim().replace(",", ".")}` : "";
}

function isWithin({ min, above, max, below }: Setting, value: number): boolean {
  return (
    (min === undefined || (above ? value > min : value >= min)) &&
    (max === undefined || (below ? value < max : value <= max))
  );
}

/** Smallest number of float32 with all its digits: GPUs may take those below it for 0. */
const SMALLEST = 2 ** -126;

/** @throws ConfigError if the GPU would take the value for 0, for infinity or for what is out of the setting's range */
function checkFloat32(setting: Setting, value: unknown, label: string, text = String(value)): void {
  if (!setting.float32 || typeof value !== "number" || value === 0) return;
  const rounded = Math.fround(value);
  const becomes = Math.abs(rounded) < SMALLEST ? 0 : rounded;
  if (becomes !== 0 && Number.isFinite(becomes) && isWithin(setting, becomes)) return;
  const least = `at least ${SMALLEST.toPrecision(2)}`;
  const small = setting.above ? least : `0 or ${least}`;
  const needed = becomes === 0 ? small : becomes === 1 ? describeRange(setting) : "at most 3.4e+38";
  throw new ConfigError(
    setting.name,
    `${label} is ${text}, but it is used as a float32, which makes ${becomes} of it; it must be ${needed}.`,
  );
}

/** What a setting may be, in words: "a whole number of at least 1". */
export function describeRange(setting: Setting): string {
  const { kind, min, above, max, below, auto } = setting;
  if (kind === "boolean") return "true or false";
  if (kind === "choice") return offered(setting).join(" or ") + (setting.file ? " or a file" : "");
  if (kind === "string") return `a text of at most ${MOST_TEXT} characters`;
  const noun = kind === "integer" ? "a whole number" : "a number";
  const low = min === undefined ? "" : above ? `above ${min}` : `of at least ${min}`;
  const high =
    max === undefined || max === MAX_INTEGER ? "" : below ? `below ${max}` : `at most ${max}`;
  const open = auto ? "auto or " : "";
  return `${open}${[noun, [low, high].filter(Boolean).join(" and ")].filter(Boolean).join(" ")}`;
}
