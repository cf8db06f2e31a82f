// Every setting of a run: one flat object, and what each may be; presets.ts has their defaults.
// The flags, the environment variables, --help and the page's form are made from `settings`.

import { ConfigError } from "./errors.ts";
import { checkNames } from "./names.ts";
import { isPreset, presetNames, presets } from "./presets.ts";

/** The settings of a run. */
export interface Config {
  format: "lines" | "text"; // a document a line, or one stream of tokens, newlines included
  val_fraction: number; // part of the text that is held out, to validate with; 0 holds out nothing
  n_layer: number; // transformer blocks (L)
  n_embd: number; // channels (C)
  n_head: number; // attention heads (NH), each of n_embd / n_head channels
  block_size: number; // context length in tokens (T)
  activation: "relu" | "relu_squared"; // between the two products of the MLP
  rmsnorm_eps: number; // added to the mean square before the root
  init_std: number; // standard deviation of the initial weights
  zero_init: boolean; // attn_wo and mlp_fc2 start at zero, so that every block starts as the identity
  dtype: "f32" | "f16"; // of what matrix products read; weights have a copy in it, sums and all else are f32
  batch_size: number; // documents, or windows of the stream, in a step (B)
  num_steps: number; // optimizer steps
  learning_rate: number; // at step 0, before the schedule
  lr_schedule: "linear" | "cosine" | "constant"; // down to 0 over num_steps
  beta1: number; // Adam: decay of the mean of the gradient
  beta2: number; // Adam: decay of the mean of its square
  epsilon: number; // Adam: added outside the root
  weight_decay: number; // AdamW: decoupled, times the learning rate
  grad_clip: number; // largest global gradient norm; 0 is off
  seed: number; // of order of documents, weights and samples (Python's generator), and of windows (Philox)
  temperature: number; // of sampling: below 1 the likely tokens get likelier, at 0 the likeliest is taken
  top_k: number; // tokens that may come next, the likeliest ones; 0 is all
  max_tokens: number; // that a text gets after its prompt at most; 0 is as many as fill the context
  num_samples: number; // texts to generate
  log_every: number; // steps between two reports
  eval_every: number; // steps between two validations; 0 is only after the last one
  save_every: number; // steps between two checkpoints; 0 is none by steps
  save_seconds: number; // seconds of training between two checkpoints; 0 is none by time
}

/**
 * A config as a user asks for it: which format `auto` is, the text decides (detectFormat), which dtype, the device that
 * it meets (chooseDtype).
 */
export interface ConfigChoice extends Omit<Config, "format" | "dtype"> {
  format: Config["format"] | "auto";
  dtype: Config["dtype"] | "auto";
}

/** Once its text is read. */
export type ReadConfig = ConfigChoice & Pick<Config, "format">;

/** What the command line and the page ask for where a user says nothing, in the preset's place. */
export const unsaid = { format: "auto" } as const satisfies Partial<ConfigChoice>;

/** What a setting may be, for whoever asks the user for it. */
export interface Setting {
  name: keyof Config;
  /** On the command line, without the two dashes. */
  flag: string;
  /** Environment variables, the first that is set wins. */
  env: string[];
  kind: "integer" | "number" | "boolean" | "choice";
  /** Smallest value, itself allowed unless `above`. */
  min?: number;
  above?: boolean;
  /** Largest value, itself allowed unless `below`. */
  max?: number;
  below?: boolean;
  choices?: readonly string[];
  /** Whether it is used as a float32, so that as one too it has to be in its range. */
  float32?: boolean;
  help: string;
}

/** Integers up to here are exact, and every size product is checked against the device later. */
const MAX_INTEGER = Number.MAX_SAFE_INTEGER;
const MAX_SIZE = 2 ** 24;

function setting(
  name: keyof Config,
  kind: Setting["kind"],
  help: string,
  limits: Partial<Setting> & { alias?: string } = {},
): Setting {
  const { alias, ...rest } = limits;
  const flag = rest.flag ?? name.replaceAll("_", "-");
  const variables = [flag.replaceAll("-", "_"), name, ...(alias ? [alias] : [])];
  const env = [...new Set(variables)].map((variable) => `MICROGPT_${variable.toUpperCase()}`);
  return { name, kind, help, ...rest, flag, env };
}

/** The values of a choice: all that its type has, or this does not compile. */
function namesOf<T extends string>(names: Record<T, true>): readonly T[] {
  return Object.keys(names) as T[];
}

const size = { min: 1, max: MAX_SIZE };
const positive = { min: 0, above: true };
const float32 = true;

/** Every setting: its kind, its range, and what it is, in words. */
export const settings: readonly Setting[] = [
  setting(
    "format",
    "choice",
    "how the text is read, a document a line, as one stream or as it looks",
    { choices: namesOf<ConfigChoice["format"]>({ lines: true, text: true, auto: true }) },
  ),
  setting(
    "val_fraction",
    "number",
    "part of the text that is held out to validate with, such as 0.1",
    {
      min: 0,
      max: 1,
      below: true,
    },
  ),
  setting("n_layer", "integer", "transformer blocks", size),
  setting("n_embd", "integer", "channels, a multiple of n-head", size),
  setting("n_head", "integer", "attention heads", size),
  setting("block_size", "integer", "context length in tokens", size),
  setting("activation", "choice", "between the two products of the MLP", {
    choices: namesOf<Config["activation"]>({ relu: true, relu_squared: true }),
  }),
  setting("rmsnorm_eps", "number", "added to the mean square before the root", {
    ...positive,
    float32,
  }),
  setting("init_std", "number", "standard deviation of the initial weights", { min: 0, float32 }),
  setting("zero_init", "boolean", "start attn_wo and mlp_fc2 at zero"),
  setting("dtype", "choice", "of what matrix products read; all else is f32", {
    choices: namesOf<ConfigChoice["dtype"]>({ f32: true, f16: true, auto: true }),
  }),
  setting("batch_size", "integer", "documents, or windows of a text, in a step", size),
  setting("num_steps", "integer", "optimizer steps", { min: 1, max: MAX_INTEGER, flag: "steps" }),
  setting("learning_rate", "number", "learning rate at the first step", {
    min: 0,
    flag: "lr",
    float32,
  }),
  setting("lr_schedule", "choice", "how the learning rate falls to 0 over the steps", {
    choices: namesOf<Config["lr_schedule"]>({ linear: true, cosine: true, constant: true }),
  }),
  setting("beta1", "number", "Adam's decay of the gradient's mean", {
    min: 0,
    max: 1,
    below: true,
    float32,
  }),
  setting("beta2", "number", "Adam's decay of the squared gradient's mean", {
    min: 0,
    max: 1,
    below: true,
    float32,
  }),
  setting("epsilon", "number", "Adam's term outside the root", { ...positive, float32 }),
  setting("weight_decay", "number", "AdamW's decoupled weight decay", { min: 0, float32 }),
  setting("grad_clip", "number", "largest gradient norm, 0 for no clipping", { min: 0, float32 }),
  setting("seed", "integer", "of all random numbers", {
    min: 0,
    max: MAX_INTEGER,
  }),
  setting("temperature", "number", "of sampling; 0 takes the likeliest token", { min: 0 }),
  setting("top_k", "integer", "draw from so many of the likeliest tokens, 0 from all", {
    min: 0,
    max: MAX_INTEGER,
  }),
  setting(
    "max_tokens",
    "integer",
    "tokens to write after the prompt, 0 until the context is full",
    {
      min: 0,
      max: MAX_INTEGER,
    },
  ),
  setting("num_samples", "integer", "texts to generate", {
    min: 0,
    max: MAX_SIZE,
    alias: "sample_size",
  }),
  setting("log_every", "integer", "steps between two reports", {
    min: 1,
    max: MAX_INTEGER,
    alias: "loss_log_every",
  }),
  setting("eval_every", "integer", "steps between two validations, 0 for one at the end", {
    min: 0,
    max: MAX_INTEGER,
  }),
  setting("save_every", "integer", "steps between two saves, 0 for none by steps", {
    min: 0,
    max: MAX_INTEGER,
  }),
  setting("save_seconds", "number", "seconds between two saves, 0 for none by time", { min: 0 }),
];

/** What has no influence on how a model trains. */
export const aside: readonly (keyof Config)[] = [
  "temperature",
  "top_k",
  "max_tokens",
  "num_samples",
  "log_every",
  "eval_every",
  "save_every",
  "save_seconds",
];

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
  else if (setting.kind !== "choice" && decimal.test(text.trim())) value = Number(text);
  return checkSetting(setting, value, label, text);
}

/** @param text what the user wrote for the value */
function checkSetting(
  setting: Setting,
  value: unknown,
  label: string,
  text?: string,
): ConfigChoice[keyof Config] {
  const { kind, choices } = setting;
  let good: boolean;
  if (kind === "boolean") good = typeof value === "boolean";
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
  const got = shown ?? (typeof value === "string" ? `"${value}"` : String(value));
  const { max } = setting;
  const beyond = max === MAX_INTEGER && (value as number) > max ? ` and at most ${max}` : "";
  throw new ConfigError(
    setting.name,
    `${label} is ${got}; it must be ${describeRange(setting)}${beyond}${pointFor(setting, value)}.`,
  );
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
export function describeRange({ kind, min, above, max, below, choices }: Setting): string {
  if (kind === "boolean") return "true or false";
  if (kind === "choice") return choices!.join(" or ");
  const noun = kind === "integer" ? "a whole number" : "a number";
  const low = min === undefined ? "" : above ? `above ${min}` : `of at least ${min}`;
  const high =
    max === undefined || max === MAX_INTEGER ? "" : below ? `below ${max}` : `at most ${max}`;
  return [noun, [low, high].filter(Boolean).join(" and ")].filter(Boolean).join(" ");
}

/**
 * @param more names that may be given besides
 * @throws ConfigError if a name is no setting's
 */
export function checkSettingNames(what: string, given: object, more: readonly string[] = []): void {
  const known = settings.map(({ name }) => name);
  const flags = settings.map(({ name, flag }) => [flag, name] as const);
  checkNames(what, given, [...known, ...more], Object.fromEntries(flags));
}

type Labels = Partial<Record<keyof Config, string>>;

/**
 * The settings of a preset with `overrides` in their place.
 * @param labels how the user wrote a setting, for the messages; its own name where absent
 * @throws ConfigError naming the first setting that is unknown or out of its range
 */
export function resolveConfig(preset: string, overrides?: Partial<Config>, labels?: Labels): Config;
export function resolveConfig(
  preset: string,
  overrides: Partial<ReadConfig>,
  labels?: Labels,
): ReadConfig;
export function resolveConfig(
  preset: string,
  overrides: Partial<ConfigChoice>,
  labels?: Labels,
): ConfigChoice;
export function resolveConfig(
  preset: string,
  overrides: Partial<ConfigChoice> = {},
  labels: Labels = {},
): ConfigChoice {
  if (!isPreset(preset)) {
    const message = `There is no preset "${preset}"; the presets are ${presetNames}.`;
    throw new ConfigError("preset", message);
  }
  checkSettingNames("setting", overrides);
  const config = { ...presets[preset], ...overrides };
  const label = (name: keyof Config) => labels[name] ?? name;
  for (const setting of settings) checkSetting(setting, config[setting.name], label(setting.name));
  for (const conflict of conflicts(config, label)) throw conflict;
  return config;
}

/** What is wrong between settings that are each in their range; those that are left out are in no conflict. */
export function conflicts(
  config: Partial<ConfigChoice>,
  label: (name: keyof Config) => string = (name) => name,
): ConfigError[] {
  const errors: ConfigError[] = [];
  const { n_embd = 0, n_head = 1, eval_every = 0, val_fraction } = config;
  if (n_embd % n_head !== 0) {
    const error = new ConfigError(
      "n_embd",
      `${label("n_embd")} ${n_embd} cannot be split into ${label("n_head")} ${n_head} ` +
        `equal heads; choose an n_embd that is a multiple of n_head, such as ` +
        `${Math.ceil(n_embd / n_head) * n_head}.`,
    );
    errors.push(error);
  }
  if (eval_every > 0 && val_fraction === 0) {
    const error = new ConfigError(
      "eval_every",
      `${label("eval_every")} is ${eval_every}, but nothing is held out to validate with; set ` +
        `${label("val_fraction")} to a part of the text, such as 0.1, or leave ${label("eval_every")} at 0.`,
    );
    errors.push(error);
  }
  return errors;
}
