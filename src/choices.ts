// What the settings that are a choice mean, where more than one part of the program asks. A value that Config does not
// know here does not compile, nor does one that it knows and that is missing.

import type { Config, ConfigChoice } from "./config.ts";

const streams: Record<Config["format"], boolean> = {
  lines: false,
  paragraphs: false,
  text: true,
  jsonl: false,
  csv: false,
  chat: false,
};

/** Whether the text is one stream of tokens, newlines included, and no list of documents. */
export function isStream(format: Config["format"]): boolean {
  return streams[format];
}

const chats: Record<Config["format"], boolean> = {
  lines: false,
  paragraphs: false,
  text: false,
  jsonl: false,
  csv: false,
  chat: true,
};

/** Whether the documents are conversations. */
export function isChat(format: Config["format"]): boolean {
  return chats[format];
}

const learnsAll: Record<Config["loss_on"], boolean> = { assistant: false, all: true };

/** Whether all turns of a conversation are learnt. */
export function isOnAll(loss_on: Config["loss_on"]): boolean {
  return learnsAll[loss_on];
}

/** What a text may turn out to be that is read in a format: records of JSON may be conversations. */
const outcomes: Record<Config["format"], readonly Config["format"][]> = {
  lines: ["lines"],
  paragraphs: ["paragraphs"],
  text: ["text"],
  jsonl: ["jsonl", "chat"],
  csv: ["csv"],
  chat: ["chat"],
};

export function mayBe(asked: Config["format"], found: Config["format"]): boolean {
  return outcomes[asked].includes(found);
}

/** Whether a text that is read so may be conversations. */
export function mayBeChat(asked: Config["format"]): boolean {
  return outcomes[asked].some(isChat);
}

/** What a format has use for beside the text: the name of a field, or what stands between two documents. */
const uses: Record<Config["format"], "field" | "separator" | null> = {
  lines: null,
  paragraphs: "separator",
  text: null,
  jsonl: "field",
  csv: "field",
  chat: null,
};

export function usesField(format: Config["format"]): boolean {
  return uses[format] === "field";
}

export function usesSeparator(format: Config["format"]): boolean {
  return uses[format] === "separator";
}

const vocabularies: Record<Config["tokenizer"], "characters" | "learnt" | "given"> = {
  char: "characters",
  word: "learnt",
  bpe: "learnt",
  file: "given",
};

/** Whether the tokens are learnt from the text, as many as vocab_size says. */
export function isLearned(tokenizer: Config["tokenizer"]): boolean {
  return vocabularies[tokenizer] === "learnt";
}

/** Whether it is one that was there before. */
export function isGiven(tokenizer: Config["tokenizer"]): boolean {
  return vocabularies[tokenizer] === "given";
}

const drawn: Record<Config["val_split"], boolean> = { end: false, blocks: true };

/** Whether what is held out of a stream is drawn by the seed. */
export function isDrawn(val_split: Config["val_split"]): boolean {
  return drawn[val_split];
}

const halves: Record<ConfigChoice["dtype"], boolean> = { f32: false, f16: true, auto: false };

/** Whether what products read is kept in f16. */
export function isHalf(dtype: ConfigChoice["dtype"]): boolean {
  return halves[dtype];
}

/** Activations whose output tells their slope, so that no more is kept of them. */
export type Relu = "relu" | "relu_squared";

/** Those that need their input again. */
export type Smooth = Exclude<Config["activation"], Relu>;

const relus: Record<Config["activation"], boolean> = {
  relu: true,
  relu_squared: true,
  gelu: false,
  swiglu: false,
};

export function isRelu(activation: Config["activation"]): activation is Relu {
  return relus[activation];
}

/** @throws RangeError if it is none: what has no others is to be asked for no others */
export function reluOf({ activation }: Pick<Config, "activation">): Relu {
  if (isRelu(activation)) return activation;
  throw new RangeError(`there is no kernel for ${activation}`);
}

const gated: Record<Config["activation"], boolean> = {
  relu: false,
  relu_squared: false,
  gelu: false,
  swiglu: true,
};

/** Whether the MLP begins with two products, of which the one gates the other. */
export function isGated(activation: Config["activation"]): boolean {
  return gated[activation];
}

const turned: Record<Config["position"], boolean> = { learned: false, rope: true };

/** Whether q and k are turned by their positions, pairs of channels at a time, and nothing is learned of these. */
export function isRope(position: Config["position"]): boolean {
  return turned[position];
}

const falling: Record<Config["lr_schedule"], boolean> = {
  linear: true,
  cosine: true,
  constant: false,
  wsd: true,
};

/** Whether a step's learning rate depends on how many there will be. */
export function isFalling(lr_schedule: Config["lr_schedule"]): boolean {
  return falling[lr_schedule];
}

const late: Record<Config["lr_schedule"], boolean> = {
  linear: false,
  cosine: false,
  constant: false,
  wsd: true,
};

/** Whether the learning rate stays at its peak, and falls over the last steps alone. */
export function fallsLate(lr_schedule: Config["lr_schedule"]): boolean {
  return late[lr_schedule];
}
