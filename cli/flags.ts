// What the user asked a command for: flags, environment variables where there is no flag, and a file of settings where
// there is neither.

import { parseArgs } from "node:util";
import { type ConfigChoice, type Labels, resolveConfig, unsaidIn } from "../src/config.ts";
import { settings } from "../src/config/settings.ts";
import { parseSetting } from "../src/config/values.ts";
import type { Model } from "../src/files/model_files.ts";
import { sizes } from "../src/presets.ts";
import { checkInitial, initialConfig } from "../src/training/init_from.ts";
import { fromConfigFile } from "./config_file.ts";
import { type Given, UsageError } from "./given.ts";
import {
  chat,
  configFile,
  help,
  json,
  type Option,
  preset as presetOption,
  size,
} from "./options.ts";
import { strayWord, unknownFlag } from "./meant.ts";
import { checkUsed } from "./used.ts";

export type Env = Readonly<Record<string, string | undefined>>;

/** A command, for the parser and for --help. */
export interface Command {
  name: string;
  /** One sentence. */
  summary: string;
  options: readonly Option[];
  /** What a word that belongs to no flag is; absent where there must be none. */
  operand?: Option;
}

export class Flags {
  private readonly given: ReadonlyMap<string, Given>;

  constructor(given: ReadonlyMap<string, Given>) {
    this.given = given;
  }

  /** True if a switch is on. */
  has({ flag }: Option): boolean {
    return this.given.has(flag);
  }

  /** How the user wrote the first of some options that stands on the command line. */
  written(options: readonly Option[]): string | undefined {
    const labels = options.map(({ flag }) => this.given.get(flag)?.label);
    return labels.find((label) => label?.startsWith("-"));
  }

  /** What the user wrote for the option, undefined if nothing. */
  raw({ flag }: Pick<Option, "flag">): Given | undefined {
    return this.given.get(flag);
  }

  /** The option's text, or its default. */
  text(option: Option & { default: string }): string;
  text(option: Option): string | undefined;
  text(option: Option): string | undefined {
    const given = this.given.get(option.flag);
    if (given?.text === "") throw new UsageError(`${given.label} is empty; give it a value.`);
    return given?.text ?? option.default;
  }

  /** All texts of an option that may be given several times; none if it was not. */
  all(option: Option): readonly string[] {
    const text = this.text(option);
    const { texts = [] } = this.given.get(option.flag) ?? {};
    if (texts.includes("")) throw new UsageError(`--${option.flag} is empty; give it a value.`);
    return texts.length > 0 ? texts : text === undefined ? [] : [text];
  }

  /** The option's text where only some are possible. */
  choice<T extends string>(option: Option & { default: T }, choices: readonly T[]): T {
    const text = this.text(option);
    const choice = choices.find((choice) => choice === text);
    if (choice !== undefined) return choice;
    const { label } = this.given.get(option.flag)!;
    throw new UsageError(`${label} is "${text}"; it must be ${choices.join(" or ")}.`);
  }

  /** The option's whole number, undefined where it was not given and has no default. */
  integer(option: Option, min: number, max = Number.MAX_SAFE_INTEGER): number | undefined {
    const text = this.text(option);
    if (text === undefined) return undefined;
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    const { label } = this.given.get(option.flag)!;
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new UsageError(`${label} is "${text}"; it must be a whole number ${range}.`);
  }

  /**
   * The preset with the settings that were given in their place.
   * @param known what was left open and is known by now
   * @param model to start from
   */
  config(preset: string, known: Partial<ConfigChoice> = {}, model?: Model): ConfigChoice {
    const { overrides, labels } = this.settings();
    const [given, words] = [{ ...overrides, ...known }, wordsOf(labels)];
    const named = this.raw(presetOption) === undefined ? undefined : preset;
    const config = model
      ? initialConfig(model, given, words, named)
      : resolveConfig(preset, { ...unsaidIn(preset), ...given }, words);
    checkUsed(config, labels);
    return config;
  }

  /**
   * The settings of a new run: config(), with the preset that was given.
   * @throws ConfigError if such a run cannot start from the model, or from none
   */
  newRun(known: Partial<ConfigChoice>, model: Model | undefined): ConfigChoice {
    const config = this.config(this.text(presetOption), known, model);
    checkInitial(model, config, wordsOf(this.settings().labels));
    return config;
  }

  /**
   * The settings that were given, and how the user wrote each of them.
   * @throws ConfigError if one of them cannot be, or is of no use
   */
  settings(): { overrides: Partial<ConfigChoice>; labels: Labels } {
    const overrides: Partial<Record<string, unknown>> = {};
    const labels: Labels = {};
    for (const setting of settings) {
      const given = this.given.get(setting.flag);
      if (given === undefined) continue;
      overrides[setting.name] = parseSetting(setting, given.text, given.label);
      labels[setting.name] = given.label;
    }
    checkUsed(overrides as Partial<ConfigChoice>, labels);
    return { overrides: overrides as Partial<ConfigChoice>, labels };
  }
}

/** How a setting is written, by whoever has not written it too. */
function wordsOf(labels: Labels): Labels {
  const flags = Object.fromEntries(settings.map(({ name, flag }) => [name, `--${flag}`]));
  return { ...flags, ...labels };
}

/**
 * Reads the command line, the environment and a file of settings; flags win over the environment, and both over the
 * file.
 * @throws UsageError if a flag is unknown, lacks its value or has one too many
 * @throws UsageError or ConfigError if the file cannot be used
 */
export function parseFlags(command: Command, argv: readonly string[], env: Env): Flags {
  const options = [...command.options, json, help];
  const given = new Map([
    ...oneModel(fromEnvironment(options, env)),
    ...oneModel(oneFormat(fromArguments(options, argv, command.operand))),
  ]);
  const path = given.has(help.flag) ? undefined : new Flags(given).text(configFile);
  return new Flags(
    path === undefined ? given : new Map([...fromConfigFile(path, options), ...given]),
  );
}

/**
 * What one source gives, where a size is the preset that it stands for.
 * @throws UsageError if it gives both, or there is no such size
 */
function oneModel(given: [string, Given][]): [string, Given][] {
  const chosen = given.findLast(([flag]) => flag === size.flag)?.[1];
  if (chosen === undefined) return given;
  const { label, text } = chosen;
  if (!sizes.some((size) => size === text)) {
    throw new UsageError(`${label} is "${text}"; it must be ${sizes.join(" or ")}.`);
  }
  const other = given.find(([flag]) => flag === presetOption.flag)?.[1];
  if (other !== undefined) {
    throw new UsageError(
      `${other.label} and ${label} both say what to start from; leave one of them out.`,
    );
  }
  const named: Given = { text: `size-${text}`, label };
  return [...given.filter(([flag]) => flag !== size.flag), [presetOption.flag, named]];
}

/**
 * What is given, where a switch is the format that it stands for.
 * @throws UsageError if another one is given too
 */
function oneFormat(given: [string, Given][]): [string, Given][] {
  const chosen = given.find(([flag]) => flag === chat.flag)?.[1];
  if (chosen === undefined) return given;
  const format: Given = { text: chat.flag, label: chosen.label };
  const other = given.find(([flag, { text }]) => flag === "format" && text !== format.text)?.[1];
  if (other !== undefined) {
    throw new UsageError(
      `${other.label} ${other.text} and ${chosen.label} both say how the text is read; leave one of them out.`,
    );
  }
  return [...given.filter(([flag]) => flag !== chat.flag), ["format", format]];
}

function fromEnvironment(options: readonly Option[], env: Env): [string, Given][] {
  return options.flatMap(({ flag, env: names }) => {
    const label = names.find((name) => env[name] !== undefined);
    return label === undefined ? [] : [[flag, { text: env[label]!, label }]];
  });
}

function fromArguments(
  options: readonly Option[],
  argv: readonly string[],
  operand: Option | undefined,
): [string, Given][] {
  const spelled = new Map(options.flatMap(spellings));
  const kinds = [...spelled].map(([name, { type }]) => [name, { type }]);
  // Not strict: the sentences for what is wrong are ours.
  const { tokens } = parseArgs({
    args: argv.map((argument) => (argument === "-h" ? "--help" : argument)),
    options: Object.fromEntries(kinds),
    strict: false,
    tokens: true,
  });
  const given: [string, Given][] = [];
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") {
      if (operand && !given.some(([flag]) => flag === operand.flag)) {
        given.push([operand.flag, { text: token.value, label: operand.value! }]);
        continue;
      }
      throw strayWord(token.value, given.at(-1), options);
    }
    const { name, rawName: label, value, inlineValue } = token;
    const known = spelled.get(name);
    if (known === undefined) throw unknownFlag(label, options);
    const { option, type } = known;
    // `--seed --json` lacks the seed; a value that begins with dashes is written --prompt=--x.
    if (type === "string" && (value === undefined || (!inlineValue && value.startsWith("--")))) {
      throw new UsageError(`${label} needs a value: ${label} ${option.value}.`);
    }
    if (type === "boolean" && inlineValue) {
      throw new UsageError(`${label} takes no value, and got "${value}".`);
    }
    const text = value ?? known.text;
    const before = given.findLast(([flag]) => flag === option.flag)?.[1].texts ?? [];
    const texts = option.many ? { texts: [...before, text] } : {};
    given.push([option.flag, { text, label, ...texts }]);
  }
  return given;
}

interface Spelling {
  option: Option;
  type: "string" | "boolean";
  /** What a switch stands for when it is written so. */
  text: string;
}

/** How an option may be written. */
function spellings(option: Option): [string, Spelling][] {
  const { flag } = option;
  const type = option.value === undefined ? "boolean" : "string";
  const positive: [string, Spelling] = [flag, { option, type, text: "true" }];
  const negative: [string, Spelling] = [`no-${flag}`, { option, type, text: "false" }];
  return option.negatable ? [positive, negative] : [positive];
}
