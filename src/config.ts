// Every setting of a run: one flat object. config/settings.ts has what each may be, presets.ts has their defaults.

import { conflicts } from "./config/conflicts.ts";
import { MAX_SIZE } from "./config/setting.ts";
import { settings } from "./config/settings.ts";
import { checkSetting } from "./config/values.ts";
import { ConfigError } from "./errors.ts";
import { checkNames } from "./names.ts";
import { isPreset, presetNames, presetNotes, presets } from "./presets.ts";

/** The settings of a run. */
export interface Config {
  // the text
  format: "lines" | "paragraphs" | "text" | "jsonl" | "csv" | "chat"; // where its documents end; text is one stream
  field: string; // csv: the column, jsonl: the key, whose texts are the documents; empty is text
  separator: string; // paragraphs: what stands between two of them, \n being a line's end; empty is a blank line
  skip_bad_lines: boolean; // jsonl, csv, chat: a line that cannot be read is left out and counted
  val_fraction: number; // part of the text that is held out, to validate with; 0 holds out nothing
  val_split: "end" | "blocks"; // of one stream that is its last part, or blocks all over it, drawn by the seed
  tokenizer: "char" | "word" | "bpe" | "file"; // a token a character, a word, merged bytes, or one that was given
  vocab_size: number; // word, bpe: tokens of the vocabulary that is learnt; 0 is as many as suit text and model
  bpe_pattern: "gpt2" | "gpt4"; // bpe: what no token reaches across; gpt4 takes digits in threes
  loss_on: "assistant" | "all"; // chat: whose turns are learnt; those of others are read alone
  skip_long: boolean; // chat: conversations longer than the context are left out, and not cut

  // the model
  n_layer: number; // transformer blocks (L)
  n_embd: number; // channels (C)
  n_head: number; // attention heads (NH)
  n_kv_head: number; // heads of keys and values (NKV), each read by n_head / n_kv_head heads; 0 is n_head
  head_dim: number; // channels of a head (HS); 0 is n_embd / n_head
  block_size: number; // context length in tokens (T)
  mlp_hidden: number; // channels inside the MLP (H); 0 is 4·n_embd, with swiglu two thirds of that in steps of 64
  activation: "relu" | "relu_squared" | "gelu" | "swiglu"; // inside the MLP; swiglu is gated by a product of its own
  position: "learned" | "rope"; // added to the embedding, or q and k are turned by their positions
  rope_theta: number; // rope: channel pair i turns by rope_theta^(-2i / head_dim) a position
  qk_norm: boolean; // RMSNorm of each head's q and k
  norm_gain: boolean; // a learned factor on each channel behind every norm
  embedding_norm: boolean; // RMSNorm behind the embedding
  final_norm: boolean; // RMSNorm before the head
  tie_embeddings: boolean; // the head's weight is the embedding's
  logit_softcap: number; // logits become s·tanh(logits / s); 0 is off
  rmsnorm_eps: number; // added to the mean square before the root
  init_std: number; // standard deviation of the initial weights
  zero_init: boolean; // attn_wo and mlp_fc2 start at zero, so that every block starts as the identity

  // training
  dropout: number; // part of the embedding's and of each block's output that is left out in a step
  dtype: "f32" | "f16"; // of what matrix products read; weights have a copy in it, sums and all else are f32
  batch_size: number; // documents, or windows of the stream, in a micro-batch (B)
  grad_accumulation: number; // micro-batches in a step: their gradients are summed, and divided once
  recompute: boolean; // each layer's activations are made anew in the backward pass, and only its input is kept
  num_steps: number; // optimizer steps
  optimizer: "adamw" | "muon" | "sgd"; // muon is for the matrices of the layers, and adamw for the rest
  learning_rate: number; // at its peak, where the schedule begins to fall; Muon's matrices have muon_lr
  lr_schedule: "linear" | "cosine" | "constant" | "wsd"; // from the peak down over num_steps; wsd only at the end
  warmup_steps: number; // over which the rate rises to its peak
  final_lr_fraction: number; // part of the peak that the rate falls to
  decay_fraction: number; // wsd: part of num_steps over which the rate falls
  beta1: number; // Adam: decay of the mean of the gradient
  beta2: number; // Adam: decay of the mean of its square
  epsilon: number; // Adam: added outside the root
  muon_lr: number; // Muon: learning rate of the layers' matrices at its peak
  muon_momentum: number; // Muon: decay of the gradient's sum
  sgd_momentum: number; // SGD: decay of the gradient's sum
  weight_decay: number; // of matrices, decoupled: times the learning rate
  grad_clip: number; // largest global gradient norm; 0 is off
  lora_rank: number; // R of the adapters that are trained beside a model's frozen weights; 0 is none, all is trained
  lora_alpha: number; // what an adapter adds is times lora_alpha / lora_rank; 0 is twice the rank
  lora_targets: string; // weights that have one, with commas between: q, k, v, o, gate, up, down; attention, mlp, all
  seed: number; // of order of documents, weights and samples (Python's generator), of windows and dropout (Philox)

  // samples
  temperature: number; // of sampling: below 1 the likely tokens get likelier, at 0 the likeliest is taken
  top_k: number; // tokens that may come next, the likeliest ones; 0 is all
  top_p: number; // tokens that may come next, the likeliest that have so much of all probability together; 1 is all
  min_p: number; // tokens that may come next are as likely as this part of the likeliest one, or more; 0 is all
  repetition_penalty: number; // divides the logits of tokens that the text has, or multiplies negative ones; 1 is off
  max_tokens: number; // that a text gets after its prompt at most; 0 is as many as fill the context
  num_samples: number; // texts to generate
  sample_every: number; // steps between two looks at what the model writes by then; 0 is none before the end

  // reports and saves
  log_every: number; // steps between two reports
  eval_every: number; // steps between two validations; 0 is only after the last one
  patience: number; // validations without a lower loss than the lowest before them, after which the run ends; 0 is off
  save_every: number; // steps between two checkpoints; 0 is none by steps
  save_seconds: number; // seconds of training between two checkpoints; 0 is none by time
}

/**
 * A config as a user asks for it: which format `auto` is, the text decides (detectFormat), which part of it is held
 * out (chooseHeldOut), and which tokenizer it has (chooseTokenizer); which dtype and batch, the device that it meets
 * (chooseDtype, chooseBatch). Where the batch is open, grad_accumulation counts all that a step takes, as if in
 * micro-batches of one.
 */
export interface ConfigChoice extends Omit<
  Config,
  "format" | "val_fraction" | "tokenizer" | "dtype" | "batch_size"
> {
  format: Config["format"] | "auto";
  val_fraction: number | "auto";
  tokenizer: Config["tokenizer"] | "auto";
  dtype: Config["dtype"] | "auto";
  batch_size: number | "auto";
}

/** Once its text is read; a step whose batch is open is one batch until the device is met, see inOneBatch(). */
export type ReadConfig = ConfigChoice &
  Pick<Config, "format" | "val_fraction" | "tokenizer" | "batch_size">;

/** What the command line and the page ask for where a user says nothing, in the preset's place. */
export function unsaidIn(preset: string): Partial<ConfigChoice> {
  return { format: "auto", ...heldOutIn(preset), ...tokenizerIn(preset) };
}

/** Of a preset that is no model of characters, the tokenizer is left to the text. */
function tokenizerIn(preset: string): Partial<ConfigChoice> {
  return isPreset(preset) && !presetNotes[preset].characters ? { tokenizer: "auto" } : {};
}

/** Of a preset that holds nothing out, whether to do so is left to the text. */
export function heldOutIn(preset: string): Partial<ConfigChoice> {
  return isPreset(preset) && presets[preset].val_fraction === 0 ? { val_fraction: "auto" } : {};
}

/** Of settings beside a preset the grad_accumulation as a resolved config has it: of an open batch it counts documents. */
export function wholeStep(
  preset: string,
  { batch_size, grad_accumulation }: Partial<ConfigChoice>,
): Partial<Pick<Config, "grad_accumulation">> {
  if (!isPreset(preset) || batch_size !== "auto" || grad_accumulation === undefined) return {};
  return { grad_accumulation: grad_accumulation * presets[preset].batch_size };
}

/** How the user wrote settings, for the messages: `--n-embd`, `MICROGPT_N_EMBD`. */
export type Labels = Partial<Record<keyof Config, string>>;

/**
 * @param more names that may be given besides
 * @throws ConfigError if a name is no setting's
 */
export function checkSettingNames(what: string, given: object, more: readonly string[] = []): void {
  const known = settings.map(({ name }) => name);
  const flags = settings.map(({ name, flag }) => [flag, name] as const);
  checkNames(what, given, [...known, ...more], Object.fromEntries(flags));
}

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
  const asked: ConfigChoice = { ...presets[preset], ...overrides };
  const label = (name: keyof Config) => labels[name] ?? name;
  for (const setting of settings) checkSetting(setting, asked[setting.name], label(setting.name));
  const config = { ...asked, ...wholeStep(preset, asked) };
  if (config.grad_accumulation > MAX_SIZE) {
    throw new ConfigError(
      "grad_accumulation",
      `${label("grad_accumulation")} is ${asked.grad_accumulation}, which with the batch of preset ${preset} makes ` +
        `${config.grad_accumulation} documents of a step; they must be at most ${MAX_SIZE}.`,
    );
  }
  for (const conflict of conflicts(config, label)) throw conflict;
  return config;
}
