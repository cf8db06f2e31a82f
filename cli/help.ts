// The text of --help, made from the tables of options and presets.

import type { Config } from "../src/config.ts";
import { settings } from "../src/config/settings.ts";
import { groupBy } from "../src/group_by.ts";
import { commandLine } from "../src/platform/invocation.ts";
import { presets } from "../src/presets.ts";
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
function usageOf({ name }: Command): string {
  return commandLine(name, "FLAGS").replace(/FLAGS$/, "[flags]");
}

function usage({ flag, value, negatable }: Option): string {
  return `--${negatable ? "[no-]" : ""}${flag}${value === undefined ? "" : ` ${value}`}`;
}

function describe(option: Option): string {
  return option.default === undefined ? option.help : `${option.help} (default: ${option.default})`;
}

/** What the presets change in the defaults above. */
function describePresets(): string[] {
  const changes = (config: Config) =>
    settings
      .filter(({ name }) => config[name] !== presets.microgpt[name])
      .map(({ flag, name }) => `${flag} ${config[name]}`);
  return Object.entries<Config>(presets)
    .filter(([, config]) => config !== presets.microgpt)
    .map(([name, config]) => `Preset ${name}: ${changes(config).join(", ")}.`)
    .concat(``);
}
