// The text of --help, made from the tables of options and presets.

import type { Config } from "../src/config.ts";
import { settings } from "../src/config/settings.ts";
import { count } from "../src/count.ts";
import { groupBy } from "../src/group_by.ts";
import { stepBytes } from "../src/model/memory.ts";
import { dimsOf, parameterCount } from "../src/model/parameters.ts";
import { commandLine } from "../src/platform/invocation.ts";
import { type PresetName, presetNotes, presets } from "../src/presets.ts";
import { bytes } from "./format.ts";
import type { Command } from "./flags.ts";
import { help, json, type Option, preset } from "./options.ts";

export function helpText(command: Command): string {
  const options = [...command.options, json, help];
  const width = Math.max(...options.map((option) => usage(option).length));
  const sections = groupBy(options, ({ section = "Options" }) => section);
  const variable = options.find(({ env }) => env.length > 0)!.env[0];
  return [
    `${command.summary}`,
    ``,
    `Usage: ${usageOf(command)}`,
    ``,
    ...[...sections].flatMap(([title, options]) => [
      `${title}:`,
      ...options.map((option) => `  ${usage(option).padEnd(width)}  ${describe(option)}`),
      ``,
    ]),
    ...(command.options.includes(preset) ? describePresets() : []),
    `A flag can also be set by an environment variable, such as ${variable}; flags win.`,
    ``,
  ].join("\n");
}

/** `[flags]` is no word to be quoted. */
function usageOf({ name, operand }: Command): string {
  const usage = commandLine(name, "FLAGS").replace(/FLAGS$/, "[flags]");
  return operand === undefined
    ? usage
    : `${usage} ${operand.value}\n\n${operand.value}: ${operand.help}`;
}

function usage({ flag, value, negatable }: Option): string {
  return `--${negatable ? "[no-]" : ""}${flag}${value === undefined ? "" : ` ${value}`}`;
}

function describe(option: Option): string {
  return option.default === undefined ? option.help : `${option.help} (default: ${option.default})`;
}

/** What each preset is and needs, and what it makes of the common settings. */
function describePresets(): string[] {
  const width = Math.max(...Object.keys(presets).map((name) => name.length));
  const changes = (config: Config) =>
    settings
      .filter(({ name, common }) => common && config[name] !== presets.microgpt[name])
      .map(({ flag, name }) => `${flag} ${config[name]}`);
  const rows = Object.entries<Config>(presets).flatMap(([name, config]) => {
    const { what, vocab_size } = presetNotes[name as PresetName];
    const dims = dimsOf(config, vocab_size);
    const size = `${count(parameterCount(dims))} parameters, ${bytes(stepBytes(config, dims))}`;
    const changed = changes(config);
    return [
      `  ${name.padEnd(width)}  ${what} (${size})`,
      ...(changed.length > 0 ? [`${" ".repeat(width + 4)}${changed.join(", ")}`] : []),
    ];
  });
  return [
    `Presets, with parameters and memory to train at the vocabulary of a text that they are for; all settings of one are`,
    `told by ${commandLine("info", "--preset", "NAME")}:`,
    ...rows,
    ``,
  ];
}
