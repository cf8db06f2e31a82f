// Every flag of every command: the settings of src/config/settings.ts, and the few that are no settings.

import { unsaidIn } from "../src/config.ts";
import { offered, type Setting } from "../src/config/setting.ts";
import { listed, settings } from "../src/config/settings.ts";
import { dataSetNames } from "./sources/data_sets.ts";
import { devices } from "../src/device/choose.ts";
import { presetNames, presets, sizes } from "../src/presets.ts";
import { serveOptions } from "./serve/options.ts";

export interface Option {
  /** Without the two dashes. */
  flag: string;
  /** Environment variables, the first that is set wins. */
  env: readonly string[];
  /** What --help calls the value; absent where there is none: the flag is a switch. */
  value?: string;
  help: string;
  default?: string;
  /** Whether it may be given several times, each with a value more. */
  many?: boolean;
  /** A switch that `--no-<flag>` turns off. */
  negatable?: boolean;
  /** Flags by which other commands have the like of it. */
  alike?: readonly string[];
  /** Whether a word that belongs to no flag was most likely meant for it. */
  bare?: boolean;
  /** Title that it is listed under; "Options" where absent. */
  section?: string;
}

export const input: Option = {
  flag: "input",
  env: ["MICROGPT_INPUT_PATH", "MICROGPT_INPUT"],
  value: "TEXT",
  many: true,
  bare: true,
  help:
    "what to train on, may be given several times: a file in UTF-8, a folder, a pattern ('src/**/*.ts'), a .zip, a URL, " +
    `- for standard input, or a data set (${dataSetNames.join(", ")}); without it, 1,936 names`,
};

export const urlFile: Option = {
  flag: "url-file",
  env: ["MICROGPT_URL_FILE"],
  value: "FILE",
  help: "a file of URLs to train on, one a line, # begins a comment",
};

export const noCache: Option = {
  flag: "no-cache",
  env: [],
  help: "fetch URLs and data sets anew, and keep no copy in the user's cache folder",
};

export const allowPrivate: Option = {
  flag: "allow-private",
  env: [],
  help: "fetch from addresses too that are not public, such as 127.0.0.1 or 192.168.0.1",
};

/** Where the text comes from. */
export const text = [input, urlFile, noCache, allowPrivate];

export const output = {
  flag: "output",
  env: ["MICROGPT_OUTPUT", "MICROGPT_CHECKPOINT_PATH"],
  value: "FOLDER",
  help: "where the model is saved",
  default: "output",
  alike: ["model-dir"],
} satisfies Option;

export const resume: Option = {
  flag: "resume",
  env: [],
  help:
    "go on with the run that was saved in the output folder, with its settings, on its kind of device; more " +
    "--steps train it further, at the learning rates of so many steps",
};

export const overwrite: Option = {
  flag: "overwrite",
  env: [],
  help:
    "replace the run or model in the output folder; without it a run that is not finished is left alone, and a " +
    "model is kept in a folder earlier-1, earlier-2, … there",
};

export const initFrom: Option = {
  flag: "init-from",
  env: ["MICROGPT_INIT_FROM"],
  value: "FOLDER",
  help: "train on from a saved model: its weights, tokenizer and shape, and without a preset its rates and batches too",
};

export const modelDir = {
  flag: "model-dir",
  env: ["MICROGPT_MODEL_DIR"],
  value: "FOLDER",
  help: "where the model was saved",
  default: "output",
  alike: ["output"],
  bare: true,
} satisfies Option;

export const preset = {
  flag: "preset",
  env: ["MICROGPT_PRESET"],
  value: "NAME",
  help: `settings to start from: ${presetNames}`,
  default: "microgpt",
} satisfies Option;

/** `--size small` is `--preset size-small`. */
export const size = {
  flag: "size",
  env: ["MICROGPT_SIZE"],
  value: "NAME",
  help: `instead of a preset, ${sizes.join(", ")}: a model of today with rates and batches that suit its size`,
} satisfies Option;

export const configFile: Option = {
  flag: "config",
  env: ["MICROGPT_CONFIG"],
  value: "FILE",
  help: "JSON file of settings by the names that config.json has, and preset; flags and variables win over it",
};

export { devices };

export const device = {
  flag: "device",
  env: ["MICROGPT_DEVICE"],
  value: "NAME",
  help: `${devices.join(", ")}; auto is WebGPU, but the CPU where that is sooner done than a GPU in software`,
  default: "auto" as const,
} satisfies Option;

export const tuning = {
  flag: "tuning",
  env: ["MICROGPT_TUNING"],
  value: "NAME",
  help:
    "which kernels make products: auto (the fastest here, measured once and remembered), measure (again), " +
    "off (by rule, the same everywhere)",
  default: "auto" as const,
} satisfies Option;

/** `--chat` is `--format chat`. */
export const chat: Option = {
  flag: "chat",
  env: [],
  help: "the text is conversations, --format chat: JSON lines of {role, content}; the assistant's turns are learnt",
};

export const tensorboard: Option = {
  flag: "tensorboard",
  env: [],
  help: "write event files for TensorBoard into the output folder, as --resume does where there are some",
};

export const prompt: Option = {
  flag: "prompt",
  env: ["MICROGPT_PROMPT"],
  value: "TEXT",
  help: "what every sample begins with",
};

export const promptFile: Option = {
  flag: "prompt-file",
  env: ["MICROGPT_PROMPT_FILE"],
  value: "FILE",
  help: "text file that every sample begins with, in the prompt's place",
};

export const stop: Option = {
  flag: "stop",
  env: [],
  value: "TEXT",
  many: true,
  help: "end where this would be written next, may be given several times; \\n is a line's end",
};

export const best: Option = {
  flag: "best",
  env: [],
  help: "the model whose validation had the lowest loss, in the last one's place",
};

export const only: Option = {
  flag: "only",
  env: [],
  value: "NAME",
  help: "only the checks whose kernel has this in its name",
};

export const json: Option = { flag: "json", env: [], help: "print JSON lines and nothing else" };

export const help: Option = { flag: "help", env: [], help: "show this" };

/** The options of some settings, or of all, in the order in which they are listed. */
export function settingOptions(...names: Setting["name"][]): Option[] {
  const some = settings.filter(({ name }) => names.length === 0 || names.includes(name));
  return [...listed(some)].flatMap(([section, settings]) =>
    settings.map(({ name, flag, env, kind, choices, file, help }) => ({
      flag,
      env,
      value: file
        ? "NAME|FILE"
        : { boolean: undefined, choice: "NAME", integer: "N", number: "X", string: "TEXT" }[kind],
      help: choices === undefined ? help : `${help}: ${offered({ choices, file }).join(", ")}`,
      negatable: kind === "boolean",
      default: String({ ...presets.microgpt, ...unsaidIn("microgpt") }[name]) || "none",
      section,
    })),
  );
}

/** Every environment variable that some command reads. */
export const variables: ReadonlySet<string> = new Set(
  [
    input,
    urlFile,
    output,
    initFrom,
    modelDir,
    preset,
    configFile,
    device,
    tuning,
    prompt,
    promptFile,
    ...settings,
    size,
    ...serveOptions,
  ]
    .flatMap(({ env }) => env)
    .concat("MICROGPT_CACHE_DIR", "MICROGPT_SHADER_CHECKS"),
);
