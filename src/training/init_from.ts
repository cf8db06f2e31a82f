// A run that starts from a model that is there: the settings that are the model's, and its weights as the run has them.

import { isLearned, isRope } from "../choices.ts";
import { type Config, type ConfigChoice, type Labels, resolveConfig, unsaidIn } from "../config.ts";
import { isOpen, settings } from "../config/settings.ts";
import { plural } from "../count.ts";
import { ConfigError } from "../errors.ts";
import type { Checkpoint } from "../files/checkpoint.ts";
import type { Model } from "../files/model_files.ts";
import { drawAdapters, mergedConfig } from "../model/adapters.ts";
import { beyondHalf } from "../model/half_range.ts";
import { type Dims, dimsOf, ParameterLayout } from "../model/parameters.ts";
import { presets } from "../presets.ts";
import { PythonRandom } from "../random.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** What a model is, and what only its new rows are drawn by. */
const own = (["tokenizer", "vocab_size", "bpe_pattern"] as (keyof Config)[]).concat(
  settings.filter(({ group }) => group === "model").map(({ name }) => name),
);
const free: readonly (keyof Config)[] = ["block_size", "init_std"];

/** What of a model's settings a run goes on with where no preset is named: how it trained and wrote. */
const kept = settings
  .filter(({ name, group }) => (group === "training" && name !== "dtype") || group === "sampling")
  .map(({ name }) => name);

/**
 * The settings of a run that starts from a model: its shape and its tokenizer; of all else what was given, then what the
 * preset has, or where none is named how the model itself was trained, with the warm-up in proportion to the steps.
 * What is about the text, validations and saves is never the model's.
 * @param preset undefined where none is named
 * @param overrides what was given
 * @param labels how the user wrote a setting, for the messages; its own name where absent
 * @throws ConfigError if something that was given contradicts the model, or cannot be
 */
export function initialConfig(
  { config: before, tokenizer }: Pick<Model, "config" | "tokenizer">,
  overrides: Partial<ConfigChoice> = {},
  labels: Labels = {},
  preset?: string,
): ConfigChoice {
  const vocab_size = isLearned(before.tokenizer) ? tokenizer.vocab_size : 0;
  const model = { ...before, vocab_size };
  const pick = (names: readonly (keyof Config)[]) =>
    Object.fromEntries(names.map((name) => [name, model[name]])) as Partial<ConfigChoice>;
  const base = preset ?? "microgpt";
  const wanted: Partial<ConfigChoice> = {
    ...unsaidIn(base),
    ...(preset === undefined ? pick(kept) : {}),
    ...pick(own),
  };
  if (preset === undefined && overrides.num_steps !== undefined) {
    const part = overrides.num_steps / before.num_steps;
    wanted.warmup_steps = Math.min(
      overrides.num_steps,
      Math.round(before.warmup_steps * Math.min(1, part)),
    );
  }
  const given = Object.fromEntries(
    Object.entries(overrides).filter(([name, value]) => {
      const isOwn = own.includes(name as keyof Config);
      return !isOwn || !isOpen(name as keyof Config, value);
    }),
  ) as Partial<ConfigChoice>;
  const config = { ...wanted, ...given };
  if (preset === undefined && config.batch_size === "auto") {
    // An open batch counts documents, as many as the model's batches had.
    config.grad_accumulation! *= before.batch_size / presets.microgpt.batch_size;
  }
  checkOwn(model, tokenizer, given, labels);
  return resolveConfig(base, config, labels);
}

/** @throws ConfigError naming the first setting that contradicts the model */
function checkOwn(
  before: Config,
  tokenizer: Tokenizer,
  given: Partial<ConfigChoice>,
  labels: Labels,
): void {
  const shape = (config: Config) => JSON.stringify(dimsOf(config, tokenizer.vocab_size));
  for (const name of own) {
    const value = given[name];
    if (value === undefined || value === before[name]) continue;
    const label = labels[name] ?? name;
    if (name === "block_size") {
      const longest = before.block_size;
      if (isRope(before.position) || (value as number) <= longest) continue;
      throw new ConfigError(
        name,
        `${label} is ${value}, but the model to start from has learned positions, ${longest} of them; choose at most ` +
          `${longest}, or leave it out.`,
      );
    }
    if (free.includes(name)) continue;
    const sized = ["n_kv_head", "head_dim", "mlp_hidden"].includes(name);
    if (sized && shape({ ...before, [name]: value }) === shape(before)) continue;
    throw new ConfigError(
      name,
      `${label} is ${String(value)}, but the model to start from has ${String(before[name])}, and that stays; leave it ` +
        `out, or begin a run without a model to start from.`,
    );
  }
}

/**
 * @param model undefined where the run starts from none
 * @param labels how the user wrote a setting, for the messages; its own name where absent
 * @throws ConfigError if a run with these settings cannot start from the model
 */
export function checkInitial(
  model: Model | undefined,
  config: ConfigChoice,
  labels: Labels = {},
): void {
  if (!model) {
    if (config.lora_rank === 0) return;
    const { lora_rank: label = "lora_rank" } = labels;
    throw new ConfigError(
      "lora_rank",
      `${label} is ${config.lora_rank}, but adapters are trained beside the weights of a model that is there, which train ` +
        `starts from by --init-from, or the library by initFrom: name one there, or leave ${label} at 0.`,
    );
  }
  const { config: before, tokenizer } = model;
  const vocab_size = isLearned(before.tokenizer) ? tokenizer.vocab_size : 0;
  checkOwn({ ...before, vocab_size }, tokenizer, config, labels);
}

/**
 * The model's weights, flat in the order of a run's table: of learned positions those that the context has; rows of
 * tokens that the model did not have are drawn as those of a new model are.
 */
export function initialValues(
  model: Pick<Model, "layout" | "values">,
  config: Config,
  dims: Dims,
): Float64Array {
  return fitted(model, config, dims, Float64Array);
}

function fitted<A extends Float32Array | Float64Array>(
  { layout: from, values: before }: Pick<Model, "layout" | "values">,
  { init_std, seed }: Config,
  dims: Dims,
  Floats: new (size: number) => A,
): A {
  const layout = new ParameterLayout(dims);
  const values = new Floats(layout.size);
  const random = new PythonRandom(seed);
  for (const { name, offset, size } of layout.slices) {
    const slice = from.slice(name);
    const known = Math.min(size, slice.size);
    values.set(before.subarray(slice.offset, slice.offset + known), offset);
    for (let i = known; i < size; i++) values[offset + i] = random.gauss(0, init_std);
  }
  return values;
}

/** The adapters before the first step, flat in their table's order: nothing is added yet. */
export function initialAdapters({ seed }: Config, dims: Dims): Float64Array {
  return drawAdapters(new ParameterLayout(dims).slices, new PythonRandom(seed));
}

/**
 * The model beside a run's adapters: the one to start from as the run has it, or that of the run to resume; undefined where
 * all weights are trained.
 * @throws ConfigError if f16 has no number for one of its weights
 */
export function frozenModel(
  { resume, initFrom }: { resume?: Checkpoint; initFrom?: Model },
  config: Config,
  tokenizer: Tokenizer,
): Model | undefined {
  if (config.lora_rank === 0) return undefined;
  if (!initFrom) return resume?.frozen;
  const plain = mergedConfig(config);
  const dims = dimsOf(plain, tokenizer.vocab_size);
  const layout = new ParameterLayout(dims);
  const { step, layout: from, values } = initFrom;
  const same = JSON.stringify(from.slices) === JSON.stringify(layout.slices);
  const fitting = same ? values : fitted(initFrom, config, dims, Float32Array);
  const beyond = config.dtype === "f16" ? beyondHalf(layout, fitting) : null;
  if (beyond !== null) {
    throw new ConfigError(
      "dtype",
      `With dtype f16 frozen weights are kept in half precision, but ${beyond}. Choose dtype f32.`,
    );
  }
  return { config: plain, tokenizer, step, layout, values: fitting };
}

/** What is to be known about a run that starts from a model, a sentence each. */
export function initialNotes(
  { config: before, tokenizer: known }: Pick<Model, "config" | "tokenizer">,
  config: Config,
  tokenizer: Tokenizer,
): string[] {
  const notes: string[] = [];
  const added = [...tokenizer.special.keys()].filter((name) => !known.special.has(name));
  if (added.length > 0) {
    const frozen = config.lora_rank > 0 ? " They are frozen as all its weights are." : "";
    notes.push(
      `The model to start from had no ${added.join(", ")}: ${plural(added.length, "token")} and as many rows of its ` +
        `embedding are new, drawn at random.${frozen}`,
    );
  }
  if (config.block_size > before.block_size) {
    notes.push(
      `The context is ${config.block_size} tokens, and the model to start from was trained with ${before.block_size}: ` +
        `positions beyond are new to it.`,
    );
  }
  return notes;
}
