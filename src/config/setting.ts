// What a setting is: a row of the table in settings.ts.

import type { Config } from "../config.ts";

/** What settings are about, with the title that each group has where they are listed. */
export const groups = {
  data: "Text",
  model: "Model",
  training: "Training",
  sampling: "Samples",
  saving: "Reports, validations and saves",
} as const;

export type Group = keyof typeof groups;

/** What a setting may be, for whoever asks the user for it. */
export interface Setting {
  name: keyof Config;
  group: Group;
  /** Whether it is among those that everyone sets, which are listed first. */
  common?: boolean;
  /** On the command line, without the two dashes. */
  flag: string;
  /** Environment variables, the first that is set wins. */
  env: string[];
  kind: "integer" | "number" | "boolean" | "choice" | "string";
  /** Smallest value, itself allowed unless `above`. */
  min?: number;
  above?: boolean;
  /** Largest value, itself allowed unless `below`. */
  max?: number;
  below?: boolean;
  choices?: readonly string[];
  /** The choice that a file's path stands for, which may be given in a choice's place. */
  file?: string;
  /** Whether a number may be left open, as auto: what is met decides. */
  auto?: boolean;
  /** The number that leaves it open. */
  open?: number;
  /** Whether it is used as a float32, so that as one too it has to be in its range. */
  float32?: boolean;
  /** Whether it has no influence on how a model trains, unlike others of its group. */
  neutral?: boolean;
  /** Version of the model files that brought it, 1 where absent; in an older file it is as the preset microgpt has it. */
  since?: number;
  help: string;
}

/** Integers up to here are exact, and every size product is checked against the device later. */
export const MAX_INTEGER = Number.MAX_SAFE_INTEGER;
export const MAX_SIZE = 2 ** 24;

export type Row = Omit<Setting, "group">;

export function setting(
  name: keyof Config,
  kind: Setting["kind"],
  help: string,
  limits: Partial<Row> & { alias?: string } = {},
): Row {
  const { alias, ...rest } = limits;
  const flag = rest.flag ?? name.replaceAll("_", "-");
  const variables = [flag.replaceAll("-", "_"), name, ...(alias ? [alias] : [])];
  const env = [...new Set(variables)].map((variable) => `MICROGPT_${variable.toUpperCase()}`);
  return { name, kind, help, ...rest, flag, env };
}

/** The values of a choice: all that its type has, or this does not compile. */
export function namesOf<T extends string>(names: Record<T, true>): readonly T[] {
  return Object.keys(names) as T[];
}

/** The choices that a setting offers by their names. */
export function offered({ choices, file }: Pick<Setting, "choices" | "file">): readonly string[] {
  return choices!.filter((choice) => choice !== file);
}
