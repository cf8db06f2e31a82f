// The one table of the settings: group, kind, range and what each is, in words. Flags, environment variables, --help,
// the page's form, `info`, resume's comparison and what a file of an older version lacks are made from it.

import type { Config, ConfigChoice } from "../config.ts";
import { groupBy } from "../group_by.ts";
import {
  type Group,
  groups,
  MAX_INTEGER,
  MAX_SIZE,
  namesOf,
  type Row,
  type Setting,
  setting,
} from "./setting.ts";

/** What has no influence on how a model trains. */
const without: Record<Group, boolean> = {
  data: false,
  model: false,
  training: false,
  sampling: true,
  saving: true,
};

const common = true;
const float32 = true;
const size = { min: 1, max: MAX_SIZE };
const count = { min: 0, max: MAX_INTEGER };
const positive = { min: 0, above: true };
/** Of 0 up to 1, without it. */
const part = { min: 0, max: 1, below: true };

const table: Record<Group, Row[]> = {
  data: [
    setting(
      "format",
      "choice",
      "how the text is read: by lines, by paragraphs, as one stream, by records, or as it looks",
      {
        choices: namesOf<ConfigChoice["format"]>({
          lines: true,
          paragraphs: true,
          text: true,
          jsonl: true,
          csv: true,
          chat: true,
          auto: true,
        }),
        common,
        since: 2,
      },
    ),
    setting("field", "string", "column of csv, or key of jsonl, that holds the documents", {
      since: 7,
    }),
    setting("separator", "string", "what stands between two paragraphs, \\n for a line's end", {
      since: 7,
    }),
    setting("skip_bad_lines", "boolean", "leave out lines of jsonl, csv and chat that are wrong", {
      since: 7,
    }),
    setting(
      "val_fraction",
      "number",
      "part of the text that is held out to validate with; auto is 0.1 of one stream and none of documents",
      { ...part, auto: true, since: 2 },
    ),
    setting(
      "val_split",
      "choice",
      "what of one stream is held out: its end, or blocks that seed draws",
      {
        choices: namesOf<Config["val_split"]>({ end: true, blocks: true }),
        since: 7,
      },
    ),
    setting(
      "tokenizer",
      "choice",
      "what a token is: a character, a word, merged bytes, as suits text and size, or as a tokenizer.json has it",
      {
        choices: namesOf<ConfigChoice["tokenizer"]>({
          char: true,
          word: true,
          bpe: true,
          auto: true,
          file: true,
        }),
        file: "file",
        common,
        since: 7,
      },
    ),
    setting(
      "vocab_size",
      "integer",
      "tokens of word or bpe, 0 for as many as suit text and model",
      {
        min: 0,
        max: 2 ** 16,
        open: 0,
      },
    ),
    setting(
      "bpe_pattern",
      "choice",
      "what parts the text before bpe; gpt4 takes digits in threes",
      {
        choices: namesOf<Config["bpe_pattern"]>({ gpt2: true, gpt4: true }),
        since: 7,
      },
    ),
    setting("loss_on", "choice", "whose turns of a chat are learnt, and not read alone", {
      choices: namesOf<Config["loss_on"]>({ assistant: true, all: true }),
      since: 7,
    }),
    setting("skip_long", "boolean", "leave conversations out that the context cuts", { since: 7 }),
  ],
  model: [
    setting("n_layer", "integer", "transformer blocks", { ...size, common }),
    setting("n_embd", "integer", "channels, without a head-dim a multiple of n-head", {
      ...size,
      common,
    }),
    setting("n_head", "integer", "attention heads", { ...size, common }),
    setting(
      "n_kv_head",
      "integer",
      "heads of keys and values, which divide n-head; 0 for as many",
      {
        min: 0,
        max: MAX_SIZE,
        since: 5,
      },
    ),
    setting("head_dim", "integer", "channels of a head, 0 for n-embd / n-head", {
      min: 0,
      max: MAX_SIZE,
      since: 5,
    }),
    setting("block_size", "integer", "context length in tokens", { ...size, common }),
    setting(
      "mlp_hidden",
      "integer",
      "channels inside the MLP, 0 for 4 n-embd (swiglu: 8/3 n-embd, up to a multiple of 64)",
      { min: 0, max: MAX_SIZE, since: 5 },
    ),
    setting("activation", "choice", "inside the MLP; swiglu is gated by a product of its own", {
      choices: namesOf<Config["activation"]>({
        relu: true,
        relu_squared: true,
        gelu: true,
        swiglu: true,
      }),
    }),
    setting("position", "choice", "a learned embedding of each position, or q and k turned by it", {
      choices: namesOf<Config["position"]>({ learned: true, rope: true }),
      since: 5,
    }),
    setting("rope_theta", "number", "base of rope's angles", { ...positive, float32, since: 5 }),
    setting("qk_norm", "boolean", "RMSNorm of each head's q and k", { since: 5 }),
    setting("norm_gain", "boolean", "a learned factor on each channel behind every norm", {
      since: 5,
    }),
    setting("embedding_norm", "boolean", "RMSNorm behind the embedding", { since: 5 }),
    setting("final_norm", "boolean", "RMSNorm before the head", { since: 5 }),
    setting("tie_embeddings", "boolean", "the head's weight is the embedding's", { since: 5 }),
    setting("logit_softcap", "number", "s in s·tanh(logits / s), 0 for none", {
      min: 0,
      float32,
      since: 5,
    }),
    setting("rmsnorm_eps", "number", "added to the mean square before the root", {
      ...positive,
      float32,
    }),
    setting("init_std", "number", "standard deviation of the initial weights", { min: 0, float32 }),
    setting("zero_init", "boolean", "start attn_wo and mlp_fc2 at zero"),
  ],
  training: [
    setting("dropout", "number", "part of each block's output that a step leaves out", {
      ...part,
      float32,
      since: 5,
    }),
    setting("dtype", "choice", "of what matrix products read; all else is f32", {
      choices: namesOf<ConfigChoice["dtype"]>({ f32: true, f16: true, auto: true }),
      since: 2,
    }),
    setting(
      "batch_size",
      "integer",
      "documents, or windows of a text, in a micro-batch; auto: as many of the step's as fit the device",
      { ...size, auto: true, common },
    ),
    setting("grad_accumulation", "integer", "micro-batches whose gradients make a step", {
      ...size,
      since: 5,
    }),
    setting(
      "recompute",
      "boolean",
      "make each layer's activations anew in the backward pass: less memory of a GPU, more time, the same numbers",
      { neutral: true, since: 7 },
    ),
    setting("num_steps", "integer", "optimizer steps", {
      min: 1,
      max: MAX_INTEGER,
      flag: "steps",
      common,
    }),
    setting("optimizer", "choice", "muon trains the layers' matrices, and the rest by adamw", {
      choices: namesOf<Config["optimizer"]>({ adamw: true, muon: true, sgd: true }),
      since: 5,
    }),
    setting("learning_rate", "number", "learning rate at its peak", {
      min: 0,
      flag: "lr",
      float32,
      common,
    }),
    setting("lr_schedule", "choice", "how the learning rate falls over the steps, wsd at the end", {
      choices: namesOf<Config["lr_schedule"]>({
        linear: true,
        cosine: true,
        constant: true,
        wsd: true,
      }),
    }),
    setting("warmup_steps", "integer", "steps over which the learning rate rises to its peak", {
      ...count,
      since: 5,
    }),
    setting("final_lr_fraction", "number", "part of its peak that the learning rate falls to", {
      min: 0,
      max: 1,
      since: 5,
    }),
    setting("decay_fraction", "number", "part of the steps over which wsd falls", {
      ...positive,
      max: 1,
      since: 5,
    }),
    setting("beta1", "number", "Adam's decay of the gradient's mean", { ...part, float32 }),
    setting("beta2", "number", "Adam's decay of the squared gradient's mean", { ...part, float32 }),
    setting("epsilon", "number", "Adam's term outside the root", { ...positive, float32 }),
    setting("muon_lr", "number", "Muon's learning rate at its peak", {
      min: 0,
      float32,
      since: 5,
    }),
    setting("muon_momentum", "number", "Muon's decay of the gradient's sum", {
      ...part,
      float32,
      since: 5,
    }),
    setting("sgd_momentum", "number", "SGD's decay of the gradient's sum", {
      ...part,
      float32,
      since: 5,
    }),
    setting("weight_decay", "number", "decoupled weight decay of matrices", { min: 0, float32 }),
    setting("grad_clip", "number", "largest gradient norm, 0 for no clipping", { min: 0, float32 }),
    setting(
      "lora_rank",
      "integer",
      "train adapters of this rank beside a model's frozen weights, 0 to train all weights",
      { min: 0, max: 2 ** 12, since: 9 },
    ),
    setting("lora_alpha", "number", "factor on adapters, over their rank; 0 for twice the rank", {
      min: 0,
      float32,
      since: 9,
    }),
    setting(
      "lora_targets",
      "string",
      "weights with adapters: some of q,k,v,o,gate,up,down, or attention, mlp or all",
      { since: 9 },
    ),
    setting("seed", "integer", "of all random numbers", { ...count, common }),
  ],
  sampling: [
    setting("temperature", "number", "of sampling; 0 takes the likeliest token", { min: 0 }),
    setting("top_k", "integer", "draw from so many of the likeliest tokens, 0 from all", {
      ...count,
      since: 4,
    }),
    setting(
      "top_p",
      "number",
      "draw from the likeliest tokens that sum to this probability, 1 from all",
      {
        ...positive,
        max: 1,
        since: 8,
      },
    ),
    setting(
      "min_p",
      "number",
      "leave out tokens less likely than this part of the likeliest, 0 for none",
      {
        min: 0,
        max: 1,
        since: 8,
      },
    ),
    setting(
      "repetition_penalty",
      "number",
      "above 1 tokens that the text has already get less likely, 1 changes nothing",
      { min: 0.01, max: 100, since: 8 },
    ),
    setting(
      "max_tokens",
      "integer",
      "tokens to write after the prompt, 0 until the context is full",
      { ...count, since: 4 },
    ),
    setting("num_samples", "integer", "texts to generate", {
      min: 0,
      max: MAX_SIZE,
      alias: "sample_size",
    }),
    setting("sample_every", "integer", "steps between two looks at what it writes, 0 for none", {
      ...count,
      since: 6,
    }),
  ],
  saving: [
    setting("log_every", "integer", "steps between two reports", {
      min: 1,
      max: MAX_INTEGER,
      alias: "loss_log_every",
    }),
    setting("eval_every", "integer", "steps between two validations, 0 for one at the end", {
      ...count,
      since: 2,
    }),
    setting(
      "patience",
      "integer",
      "validations without a better one that end the run, 0 for none",
      {
        ...count,
        since: 6,
      },
    ),
    setting("save_every", "integer", "steps between two saves, 0 for none by steps", {
      ...count,
      since: 3,
    }),
    setting("save_seconds", "number", "seconds between two saves, 0 for none by time", {
      min: 0,
      since: 4,
    }),
  ],
};

/** Every setting, group by group. */
export const settings: readonly Setting[] = (Object.keys(groups) as Group[]).flatMap((group) =>
  table[group].map((row) => ({ ...row, group })),
);

/** What has no influence on how a model trains. */
export const aside: readonly (keyof Config)[] = settings
  .filter(({ group, neutral }) => neutral || without[group])
  .map(({ name }) => name);

/** The settings as they are listed, under titles: the common ones, then the others by their groups. */
export function listed(some = settings): Map<string, Setting[]> {
  const title = ({ common, group }: Setting) => (common ? "Common settings" : groups[group]);
  return groupBy(
    some.toSorted((a, b) => Number(b.common ?? false) - Number(a.common ?? false)),
    title,
  );
}

/** Whether a value leaves it to what is met. */
export function isOpen(name: keyof Config, value: ConfigChoice[keyof Config]): boolean {
  return value === "auto" || value === settings.find((setting) => setting.name === name)!.open;
}

/** Those that may be left open, as auto: of a model, or a run that was begun, they are not. */
export const leftOpen: readonly (keyof Config)[] = settings
  .filter(({ auto, open, choices }) => auto || open !== undefined || choices?.includes("auto"))
  .map(({ name }) => name);
