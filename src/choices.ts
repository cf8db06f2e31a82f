// What the settings that are a choice mean, where more than one part of the program asks. A value that Config does not
// know here does not compile, nor does one that it knows and that is missing.

import type { Config, ConfigChoice } from "./config.ts";

interface Format {
  stream: boolean;
  chat: boolean;
  /** What a text may turn out to be that is read so: records of JSON may be conversations. */
  outcomes: readonly Config["format"][];
  /** What it has use for beside the text: the name of a field, or what stands between two documents. */
  uses: "field" | "separator" | null;
}

const formats: Record<Config["format"], Format> = {
  lines: { stream: false, chat: false, outcomes: ["lines"], uses: null },
  paragraphs: { stream: false, chat: false, outcomes: ["paragraphs"], uses: "separator" },
  text: { stream: true, chat: false, outcomes: ["text"], uses: null },
  jsonl: { stream: false, chat: false, outcomes: ["jsonl", "chat"], uses: "field" },
  csv: { stream: false, chat: false, outcomes: ["csv"], uses: "field" },
  chat: { stream: false, chat: true, outcomes: ["chat"], uses: null },
};

/** Whether the text is one stream of tokens, newlines included, and no list of documents. */
export function isStream(format: Config["format"]): boolean {
  return formats[format].stream;
}

/** Whether the documents are conversations. */
export function isChat(format: Config["format"]): boolean {
  return formats[format].chat;
}

/** Whether a text that is read in the one format may turn out to be the other. */
export function mayBe(asked: Config["format"], found: Config["format"]): boolean {
  return formats[asked].outcomes.includes(found);
}

/** Whether a text that is read so may be conversations. */
export function mayBeChat(asked: Config["format"]): boolean {
  return formats[asked].outcomes.some(isChat);
}

export function usesField(format: Config["format"]): boolean {
  return formats[format].uses === "field";
}

export function usesSeparator(format: Config["format"]): boolean {
  return formats[format].uses === "separator";
}

const learnsAll: Record<Config["loss_on"], boolean> = { assistant: false, all: true };

/** Whether all turns of a conversation are learnt. */
export function isOnAll(loss_on: Config["loss_on"]): boolean {
  return learnsAll[loss_on];
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
