// Learns a tokenizer from a text, shows a text's tokens, and tells how well a tokenizer suits a text.
//
//   npm run tokenize -- --train book.txt --vocab-size 4096 --output tokenizer.json
//   npm run tokenize -- --tokenizer tokenizer.json --text "Hello, world"

import { writeFileSync } from "node:fs";
import { isLearned } from "../src/choices.ts";
import { plural } from "../src/count.ts";
import { reason } from "../src/files/reason.node.ts";
import { toText } from "../src/files/model_files.ts";
import { type TextFacts, textFacts } from "../src/text/facts.ts";
import { fromText } from "../src/text/read_corpus.ts";
import type { Corpus } from "../src/text/corpus.ts";
import type { Tokenizer } from "../src/tokenizer/tokenizer.ts";
import { tokenize } from "../src/training/tokenize.ts";
import { command } from "./command.ts";
import { type Asked, askedIn, readText } from "./files.ts";
import type { Flags } from "./flags.ts";
import { UsageError } from "./given.ts";
import { Interrupt } from "./interrupt.ts";
import * as options from "./options.ts";
import { prepareProgress } from "./progress.ts";
import { type Io, run } from "./run.ts";
import { tokenizerOf } from "./tokenizer_file.ts";
import { jsonTokens, statistics, shownTokens } from "./tokenize_report.ts";

const train: options.Option = {
  flag: "train",
  env: [],
  value: "TEXT",
  many: true,
  help: "learn a tokenizer from this text, whatever --input of train may be, several times too",
};

const text: options.Option = {
  flag: "text",
  env: [],
  value: "TEXT",
  help: "show this text's tokens",
};

const stats: options.Option = {
  flag: "stats",
  env: [],
  help: "tell characters a token, the longest tokens and the share of unknown ones, of --text, --input or --train",
};

const output: options.Option = {
  flag: "output",
  env: [],
  value: "FILE",
  help: "where the tokenizer that was learnt is written",
};

const input: options.Option = {
  ...options.input,
  help: "text for --stats, whatever --input of train may be",
};

const tokenizer: options.Option = {
  ...options.settingOptions("tokenizer")[0],
  help: "which one: the path of a tokenizer.json or of a model's folder; with --train its kind, bpe (as without it), word or char",
  default: undefined,
};

const description = {
  name: "tokenize",
  summary: "Learns a tokenizer from a text, or shows the tokens that one makes of a text.",
  options: [
    train,
    output,
    text,
    input,
    options.noCache,
    options.allowPrivate,
    stats,
    tokenizer,
    ...options.settingOptions(
      "vocab_size",
      "bpe_pattern",
      "format",
      "field",
      "separator",
      "skip_bad_lines",
    ),
  ],
};

export const main = command(description, (flags, io) =>
  Interrupt.during(io, ({ signal }) => {
    const files = flags.all(train);
    return files.length === 0 ? show(flags, io, signal) : learn(files, flags, io, signal);
  }),
);

async function learn(
  files: readonly string[],
  flags: Flags,
  io: Io,
  signal: AbortSignal,
): Promise<number> {
  for (const option of [text, input]) {
    const { label } = flags.raw(option) ?? {};
    if (label === undefined) continue;
    throw new UsageError(
      `${label} shows the tokens of a text, and --train learns them; give one after the other.`,
    );
  }
  const path = flags.text(output);
  if (path === undefined && !flags.has(stats)) {
    throw new UsageError(
      `--train needs a place for what it learns, --output FILE, or --stats to look at it.`,
    );
  }
  const { overrides } = flags.settings();
  const config = flags.config("microgpt", { tokenizer: overrides.tokenizer ?? "bpe" });
  if (config.tokenizer === "auto" || tokenizerOf(flags) !== undefined) {
    throw new UsageError(
      `--train learns a tokenizer; --tokenizer says of which kind: bpe, word or char.`,
    );
  }
  const asked = { ...(await askedIn(flags)), inputs: files, signal };
  const { corpus, found } = await readText(asked, io, config);
  const progress = prepareProgress(io.stderr);
  const { vocab_size, bpe_pattern } = config;
  // No model is known that its size should suit.
  const wanted = { tokenizer: config.tokenizer, vocab_size, bpe_pattern };
  const tokens = await tokenize(corpus, wanted, { progress, signal });
  const { tokenizer } = tokens.text;
  if (path !== undefined) write(path, tokenizer);
  const facts = textFacts(tokens, 1);
  if (flags.has(options.json)) {
    io.stdout.write(`${JSON.stringify({ ...aboutText(facts), output: path ?? null })}\n`);
    return 0;
  }
  const few = isLearned(config.tokenizer) && config.vocab_size > tokenizer.vocab_size;
  io.stdout.write(
    `${found.source}: ${plural(facts.num_bytes, "byte")}; ${tokenizer.kind}, ${plural(tokenizer.vocab_size, "token")}` +
      `${few ? `: it has no more to learn than these` : ""}\n`,
  );
  if (flags.has(stats)) io.stdout.write(statistics(facts, tokenizer));
  if (path !== undefined) io.stdout.write(`saved   ${path}\n`);
  return 0;
}

function write(path: string, tokenizer: Tokenizer): void {
  try {
    writeFileSync(path, toText(tokenizer.toJSON()));
  } catch (error) {
    throw new UsageError(
      `The tokenizer cannot be written to ${path}: ${reason(error)}. --output takes a file's path.`,
    );
  }
}

async function show(flags: Flags, io: Io, signal: AbortSignal): Promise<number> {
  const tokenizer = tokenizerOf(flags);
  if (tokenizer === undefined) {
    throw new UsageError(
      `Which tokenizer? Name a tokenizer.json or the folder of a model, --tokenizer FILE, or learn one, --train FILE.`,
    );
  }
  const shown = flags.raw(text)?.text;
  const asked = { ...(await askedIn(flags)), signal };
  const named = asked.inputs.length > 0;
  const wanted = flags.has(stats);
  if (shown === undefined && !wanted) {
    throw new UsageError(`What is there to show? Give --text TEXT, or --stats.`);
  }
  if (shown !== undefined && named) {
    throw new UsageError(`--text and --input both say what to look at; leave one of them out.`);
  }
  const json = flags.has(options.json);
  let about: object = {};
  if (shown !== undefined) {
    const ids = [...tokenizer.encode(shown)];
    if (json) about = jsonTokens(tokenizer, ids);
    else io.stdout.write(shownTokens(tokenizer, ids, shown, io.stdout));
  }
  if (wanted) {
    const corpus = await corpusFor(flags, io, shown, asked);
    const facts = corpus && (await factsOf(corpus, tokenizer, io, signal));
    if (json) about = { ...about, ...(facts ? aboutText(facts) : {}) };
    else io.stdout.write(statistics(facts, tokenizer));
  }
  if (json) io.stdout.write(`${JSON.stringify(about)}\n`);
  return 0;
}

async function corpusFor(
  flags: Flags,
  io: Io,
  shown: string | undefined,
  asked: Asked,
): Promise<Corpus | undefined> {
  if (shown !== undefined) return shown === "" ? undefined : fromText(shown, "text");
  const config = flags.config("microgpt");
  return asked.inputs.length === 0 ? undefined : (await readText(asked, io, config)).corpus;
}

async function factsOf(
  corpus: Corpus,
  given: Tokenizer,
  io: Io,
  signal: AbortSignal,
): Promise<TextFacts> {
  const config = { tokenizer: "file", vocab_size: 0, bpe_pattern: "gpt2" } as const;
  const progress = prepareProgress(io.stderr);
  return textFacts(await tokenize(corpus, config, { given, progress, signal }), 1);
}

/** What of the facts is about the text, and not about a context. */
function aboutText(facts: TextFacts) {
  const { tokenizer, vocab_size, num_chars, num_bytes, num_unknown, num_text_tokens } = facts;
  return { tokenizer, vocab_size, num_chars, num_bytes, num_tokens: num_text_tokens, num_unknown };
}

if (import.meta.main) await run(main);
