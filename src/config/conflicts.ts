// What is wrong between settings that are each in their range.

import {
  fallsLate,
  isDrawn,
  isGated,
  isGiven,
  isOnAll,
  mayBeChat,
  isLearned,
  isRope,
  isStream,
  usesField,
  usesSeparator,
} from "../choices.ts";
import type { Config, ConfigChoice } from "../config.ts";
import { ConfigError } from "../errors.ts";
import { targetWords, wordsOf } from "./lora_targets.ts";

/** How the user wrote a setting. */
type Label = (name: keyof Config) => string;
/** The sentence for what two or more settings cannot be together, with the name of the one to change. */
type Conflict = [name: keyof Config, sentence: string];

/** What is wrong; those that are left out are in no conflict. */
export function conflicts(
  config: Partial<ConfigChoice>,
  label: Label = (name) => name,
): ConfigError[] {
  const found = [
    ...formats(config, label),
    ...chats(config, label),
    ...vocabularies(config, label),
    ...heads(config, label),
    ...rotations(config, label),
    ...adapters(config, label),
    ...schedules(config, label),
    ...validations(config, label),
  ];
  return found.map(([name, sentence]) => new ConfigError(name, sentence));
}

function* formats(config: Partial<ConfigChoice>, label: Label): Iterable<Conflict> {
  const { format = "auto", field = "", separator = "" } = config;
  if (field !== "" && separator !== "") {
    yield [
      "separator",
      `${label("field")} is for texts in csv or jsonl and ${label("separator")} for paragraphs; leave one of them out.`,
    ];
  } else if (format !== "auto") {
    if (field !== "" && !usesField(format)) {
      yield [
        "field",
        `${label("field")} is "${field}", but ${label("format")} ${format} has no fields; leave it out, or choose ` +
          `${label("format")} csv or jsonl.`,
      ];
    }
    if (separator !== "" && !usesSeparator(format)) {
      yield [
        "separator",
        `${label("separator")} is "${separator}", but only with ${label("format")} paragraphs does it part documents; ` +
          `leave it out, or choose that.`,
      ];
    }
  }
}

function* chats(config: Partial<ConfigChoice>, label: Label): Iterable<Conflict> {
  const { format = "auto", loss_on = "assistant", skip_long = false } = config;
  if (format === "auto" || mayBeChat(format)) return;
  const given: Conflict[0][] = [
    ...(isOnAll(loss_on) ? ["loss_on" as const] : []),
    ...(skip_long ? ["skip_long" as const] : []),
  ];
  for (const name of given) {
    yield [
      name,
      `${label(name)} is ${config[name]}, but it is about conversations, and ${label("format")} is ${format}; leave it ` +
        `out, or choose ${label("format")} chat.`,
    ];
  }
}

function* vocabularies(config: Partial<ConfigChoice>, label: Label): Iterable<Conflict> {
  const { tokenizer = "auto", vocab_size = 0 } = config;
  if (tokenizer === "auto" || isLearned(tokenizer) || vocab_size === 0) return;
  const has = isGiven(tokenizer)
    ? "the file has its tokens"
    : "the text's characters are the tokens";
  yield [
    "vocab_size",
    `${label("vocab_size")} is ${vocab_size}, but with ${label("tokenizer")} ${tokenizer} ${has}; leave it out, or ` +
      `choose ${label("tokenizer")} bpe or word.`,
  ];
}

function* heads(config: Partial<ConfigChoice>, label: Label): Iterable<Conflict> {
  const { n_embd = 0, n_head = 1, head_dim = 0, n_kv_head = 0 } = config;
  if (head_dim === 0 && n_embd % n_head !== 0) {
    yield [
      "n_embd",
      `${label("n_embd")} ${n_embd} cannot be split into ${label("n_head")} ${n_head} ` +
        `equal heads; choose an n_embd that is a multiple of n_head, such as ` +
        `${Math.ceil(n_embd / n_head) * n_head}.`,
    ];
  }
  if (config.n_head !== undefined && n_kv_head > 0 && n_head % n_kv_head !== 0) {
    yield [
      "n_kv_head",
      `${label("n_head")} ${n_head} cannot share ${label("n_kv_head")} ${n_kv_head} heads of keys and values ` +
        `equally; choose an n_kv_head that divides n_head, such as ${nearestDivisor(n_head, n_kv_head)}, or 0 for one each.`,
    ];
  }
}

function nearestDivisor(n: number, wanted: number): number {
  for (let divisor = Math.min(wanted, n); ; divisor--) if (n % divisor === 0) return divisor;
}

function* rotations(config: Partial<ConfigChoice>, label: Label): Iterable<Conflict> {
  const { position, n_embd = 0, n_head = 1, head_dim = 0 } = config;
  if (position === undefined || !isRope(position)) return;
  const size = head_dim || n_embd / n_head;
  if (!Number.isInteger(size) || size % 2 === 0) return;
  const why =
    head_dim > 0
      ? `${label("head_dim")} is ${head_dim}`
      : `${label("n_embd")} ${n_embd} and ${label("n_head")} ${n_head} make heads of ${size}`;
  yield [
    head_dim > 0 ? "head_dim" : "n_embd",
    `With ${label("position")} ${position} the channels of a head turn in pairs, but ${why}; choose an even number, ` +
      `such as ${label("head_dim")} ${size + 1}, or ${label("position")} learned.`,
  ];
}

function* adapters(config: Partial<ConfigChoice>, label: Label): Iterable<Conflict> {
  const { lora_targets, lora_rank, activation } = config;
  if (lora_targets === undefined) return;
  const words = wordsOf(lora_targets);
  const unknown = words.find((word) => !targetWords.includes(word));
  const wrote = `${label("lora_targets")} is "${lora_targets}"`;
  if (unknown !== undefined) {
    yield [
      "lora_targets",
      `${wrote}, and "${unknown}" is no target; it must be some of ${targetWords.join(", ")}, with commas between.`,
    ];
  } else if (lora_rank && activation && !isGated(activation) && words.includes("gate")) {
    yield [
      "lora_targets",
      `${wrote}, but with ${label("activation")} ${activation} the MLP has no gate; leave that out.`,
    ];
  }
}

function* schedules(config: Partial<ConfigChoice>, label: Label): Iterable<Conflict> {
  const {
    lr_schedule = "linear",
    num_steps = Infinity,
    warmup_steps = 0,
    decay_fraction = 0,
  } = config;
  const rises = `${label("warmup_steps")} is ${warmup_steps}`;
  const advice = `lower ${label("warmup_steps")}, or set ${label("num_steps")} to more`;
  const falling = num_steps * decay_fraction;
  if (warmup_steps > num_steps) {
    yield [
      "warmup_steps",
      `${rises}, but ${label("num_steps")} is ${num_steps}: the learning rate would never reach its peak; ${advice}.`,
    ];
  } else if (fallsLate(lr_schedule) && warmup_steps + falling > num_steps + SLACK) {
    yield [
      "warmup_steps",
      `${rises}, but with ${label("lr_schedule")} wsd and ${label("decay_fraction")} ${decay_fraction} the learning rate ` +
        `falls over the last ${Math.round(falling)} of ${num_steps} steps, before it has risen; ${advice}, or lower ` +
        `${label("decay_fraction")}.`,
    ];
  }
}

/** Of steps: a fraction of them is rounded. */
const SLACK = 1e-6;

function* validations(config: Partial<ConfigChoice>, label: Label): Iterable<Conflict> {
  yield* splits(config, label);
  const { eval_every = 0, val_fraction, patience = 0, format = "auto" } = config;
  const documents = format !== "auto" && !isStream(format);
  const none = val_fraction === 0 || (val_fraction === "auto" && documents);
  if (eval_every > 0 && none) {
    yield [
      "eval_every",
      `${label("eval_every")} is ${eval_every}, but nothing is held out to validate with; set ` +
        `${label("val_fraction")} to a part of the text, such as 0.1, or leave ${label("eval_every")} at 0.`,
    ];
  }
  if (patience > 0 && config.eval_every === 0) {
    yield [
      "patience",
      `${label("patience")} is ${patience}, but the run is validated at its end at most; set ${label("eval_every")} to ` +
        `the steps between two validations, and ${label("val_fraction")} to the part of the text that is held out for ` +
        `them, or leave ${label("patience")} at 0.`,
    ];
  }
}

function* splits(config: Partial<ConfigChoice>, label: Label): Iterable<Conflict> {
  const { val_split = "end", val_fraction, format = "auto" } = config;
  if (!isDrawn(val_split)) return;
  if (val_fraction === 0) {
    yield [
      "val_split",
      `${label("val_split")} is ${val_split}, but nothing is held out to validate with; set ${label("val_fraction")} to ` +
        `a part of the text, such as 0.1, or leave ${label("val_split")} out.`,
    ];
  } else if (format !== "auto" && !isStream(format)) {
    yield [
      "val_split",
      `${label("val_split")} is ${val_split}, but with ${label("format")} ${format} documents are held out, which the ` +
        `seed draws one by one; leave ${label("val_split")} out.`,
    ];
  }
}
