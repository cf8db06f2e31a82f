// The settings of a sweep: each flag may hold a list, and every combination of their values is a model.

import { type Config, type ConfigChoice, resolveConfig, unsaidIn } from "../src/config.ts";
import type { Setting } from "../src/config/setting.ts";
import { aside, settings } from "../src/config/settings.ts";
import { parseSetting } from "../src/config/values.ts";
import { checkComparable } from "../src/training/sweep_plan.ts";
import type { Flags } from "./flags.ts";
import { UsageError } from "./given.ts";
import { checkUsed } from "./used.ts";

/** Models of a sweep at most. */
const MOST_MODELS = 100_000;

/** The settings that a sweep may vary. */
export const sweepable: readonly Setting[] = settings.filter(({ name }) => !aside.includes(name));

type Values = ConfigChoice[keyof Config][];

/**
 * Every combination of the settings' values, the last flag's changing fastest, and the settings that vary.
 * @throws ConfigError if one of them is no model, or their losses could not be compared
 * @throws UsageError if a list cannot be understood, or they are too many
 */
export function sweepConfigs(
  flags: Flags,
  preset: string,
): { configs: ConfigChoice[]; varied: Setting[] } {
  const given = sweepable.flatMap((setting) => {
    const { text, label } = flags.raw(setting) ?? {};
    return text === undefined
      ? []
      : [{ setting, label: label!, values: listValues(setting, text, label!) }];
  });
  const count = given.reduce((product, { values }) => product * values.length, 1);
  if (count > MOST_MODELS) {
    const sizes = given.filter(({ values }) => values.length > 1);
    throw new UsageError(
      `The lists make ${count.toLocaleString("en-US")} models (` +
        sizes.map(({ label, values }) => `${label} ${values.length}`).join(" × ") +
        `), and a sweep trains at most ${MOST_MODELS.toLocaleString("en-US")}; shorten one of them.`,
    );
  }
  const labels = Object.fromEntries(given.map(({ setting, label }) => [setting.name, label]));
  let combinations: Partial<ConfigChoice>[] = [{}];
  for (const { setting, values } of given) {
    combinations = combinations.flatMap((before) =>
      values.map((value) => ({ ...before, [setting.name]: value })),
    );
  }
  const configs = combinations.map((overrides) => {
    const config = resolveConfig(preset, { ...unsaidIn(preset), ...overrides }, labels);
    checkUsed(config, labels);
    return config;
  });
  checkComparable(configs, labels);
  return {
    configs,
    varied: given.filter(({ values }) => values.length > 1).map(({ setting }) => setting),
  };
}

/**
 * The values of a list: `1,2,5`, `1..64`, `0.001..0.01..0.001` or several of these with commas, each once.
 * @throws UsageError if a range cannot be understood, ConfigError if a value is none of the setting's
 */
export function listValues(setting: Setting, text: string, label: string): Values {
  if (setting.kind === "string") return [parseSetting(setting, text, label)]; // commas are its own
  refuseDecimalCommas(setting, text, label);
  const values = text.split(",").flatMap((part) => {
    if (part.trim() === "") {
      throw new UsageError(
        `${label} is "${text}": between two commas, and at the ends, there must be a value.`,
      );
    }
    return part.includes("..")
      ? rangeValues(setting, part, label)
      : [parseSetting(setting, part.trim(), label)];
  });
  return [...new Set(values)];
}

/** Numbers as 0,003 and 0,5: a zero and digits behind a comma, over and over; or a number that begins with a zero. */
const DECIMAL_COMMAS = /^0,\d+(,0,\d+)*$|,0\d/;

/** @throws UsageError if commas seem to be decimal ones: 0,003 is no list of 0 and 3 */
function refuseDecimalCommas({ kind }: Setting, text: string, label: string): void {
  const written = text.replaceAll(/\s*,\s*/g, ",").trim();
  if (kind !== "number" || !DECIMAL_COMMAS.test(written)) return;
  const [, whole, digits] = (/(\d+),(0\d+)/.exec(written) ?? /(0),(\d+)/.exec(written))!;
  throw new UsageError(
    `${label} is "${text}", and in a list a comma stands between values: write ${whole}.${digits} with a point` +
      (Number(digits) > 0
        ? `, or ${Number(digits)},${Number(whole)} if two values are meant.`
        : `.`),
  );
}

/** `first..last` of whole numbers, or `first..last..step`; the last one is part of it if a step meets it. */
function rangeValues(setting: Setting, text: string, label: string): Values {
  const parts = text.split("..").map((part) => part.trim());
  if (setting.kind !== "integer" && setting.kind !== "number") {
    throw new UsageError(
      `${label} is "${text}", but only numbers have ranges; separate its values by commas.`,
    );
  }
  if (parts.length > 3 || parts.includes("")) {
    throw new UsageError(`${label} is "${text}"; a range is first..last or first..last..step.`);
  }
  const [first, last] = parts
    .slice(0, 2)
    .map((part) => parseSetting(setting, part, label) as number);
  if (last < first) {
    throw new UsageError(
      `${label} is "${text}", a range that ends before it begins; write the smaller number first.`,
    );
  }
  if (parts.length === 2 && setting.kind === "number") {
    throw new UsageError(
      `${label} is "${text}", a range without a step; write ${text}..${step(first, last)}, for instance.`,
    );
  }
  const by = parts.length === 3 ? Number(parts[2]) : 1;
  if (!(by > 0) || (setting.kind === "integer" && !Number.isInteger(by))) {
    const needed = setting.kind === "integer" ? "a whole number above 0" : "a number above 0";
    throw new UsageError(`${label} is "${text}": the step ${parts[2]} must be ${needed}.`);
  }
  const count = Math.floor((last - first) / by + 1e-9) + 1;
  if (count > MOST_MODELS) {
    throw new UsageError(
      `${label} is "${text}": ${count.toLocaleString("en-US")} values are more than a sweep can train.`,
    );
  }
  // 0.1 + 2 * 0.1 shall be 0.3
  return Array.from({ length: count }, (_, k) => Number((first + k * by).toPrecision(12)));
}

/** A tenth of a range, for an example. */
function step(first: number, last: number): string {
  return String(Number((Math.abs(last - first) / 10).toPrecision(1)) || 0.1);
}
