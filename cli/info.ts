// Shows what a model folder holds, and what training and generating need; without one, what a run would need.
//
//   npm run info -- --model-dir output
//   npm run info -- --n-layer 6 --n-embd 384 --batch-size 64

import { statSync } from "node:fs";
import { join } from "node:path";
import { isHalf, isStream } from "../src/choices.ts";
import type { Config, ReadConfig } from "../src/config.ts";
import { listed } from "../src/config/settings.ts";
import { chooseDevice } from "../src/device/choose.ts";
import { ADAPTER_FILE, BASE_FILE } from "../src/files/adapter_files.ts";
import { STATE_FILE } from "../src/files/checkpoint.ts";
import { CONFIG_FILE, type Model, TOKENIZER_FILE, WEIGHTS_FILE } from "../src/files/model_files.ts";
import { type Dims, dimsOf } from "../src/model/parameters.ts";
import type { Examples } from "../src/text/batches.ts";
import { textFacts } from "../src/text/facts.ts";
import { splitTokens } from "../src/text/split.ts";
import { CharTokenizer } from "../src/tokenizer/char.ts";
import type { Tokenizer } from "../src/tokenizer/tokenizer.ts";
import { chooseBatch } from "../src/training/choose_batch.ts";
import { chooseDtype } from "../src/training/choose_dtype.ts";
import { chooseSmall } from "../src/training/choose_trainer.ts";
import { initialNotes } from "../src/training/init_from.ts";
import { type Needs, needsOf } from "../src/training/needs.ts";
import { startNotes } from "../src/training/notes.ts";
import { settleText } from "../src/training/settle_text.ts";
import { command } from "./command.ts";
import { askedIn, readText } from "./files.ts";
import type { Flags } from "./flags.ts";
import { UsageError } from "./given.ts";
import { bytes } from "./format.ts";
import { Interrupt } from "./interrupt.ts";
import { loadModel } from "../src/files/model_dir.node.ts";
import * as options from "./options.ts";
import { count, plural } from "../src/count.ts";
import { prepareProgress } from "./progress.ts";
import { type Io, run } from "./run.ts";
import { printable } from "./samples.ts";
import { textRows } from "./text_rows.ts";
import { tokenizerOf } from "./tokenizer_file.ts";

/** Of a vocabulary: more would hide the rest of the report. */
const SHOWN_CHARS = 100;

const ofRun = [
  options.preset,
  options.size,
  options.configFile,
  options.initFrom,
  options.chat,
  ...options.text,
  ...options.settingOptions(),
];

const description = {
  name: "info",
  summary:
    "Shows what a saved model holds, or, given settings instead, what a run with them would need.",
  options: [options.modelDir, ...ofRun],
};

export const main = command(description, (flags, io) =>
  Interrupt.during(io, ({ signal }) => show(flags, io, signal)),
);

async function show(flags: Flags, io: Io, signal: AbortSignal): Promise<number> {
  const setting = flags.written(ofRun);
  if (setting !== undefined && flags.written([options.modelDir]) !== undefined) {
    throw new UsageError(
      `${setting} is about a run to come and --model-dir about a model that is there; leave one of them out.`,
    );
  }
  const [description, text] =
    setting === undefined ? describeModel(flags) : await describeRun(flags, io, signal);
  signal.throwIfAborted();
  io.stdout.write(flags.has(options.json) ? `${JSON.stringify(description)}\n` : text);
  return 0;
}

function describeModel(flags: Flags): [object, string] {
  const folder = flags.text(options.modelDir);
  const model = loadModel(folder);
  const description = describe(folder, model);
  return [description, toText(description, model.tokenizer)];
}

async function describeRun(flags: Flags, io: Io, signal: AbortSignal): Promise<[object, string]> {
  const source = flags.text(options.initFrom);
  const initFrom = source === undefined ? undefined : loadModel(source);
  const wanted = flags.newRun({}, initFrom);
  const { corpus, found } = await readText({ ...(await askedIn(flags)), signal }, io, wanted);
  const { format, num_docs } = corpus;
  flags.newRun({ format }, initFrom); // what it decides may be in conflict
  const given = tokenizerOf(flags);
  const progress = prepareProgress(io.stderr);
  const initial = initFrom?.tokenizer;
  const settled = await settleText(corpus, [wanted], { given, initial, progress, signal });
  const { text } = settled.tokens;
  const { vocab_size } = text.tokenizer;
  const dims = dimsOf(wanted, vocab_size);
  const [read] = settled.configs;
  const { train, num_tokens, num_val_tokens } = splitTokens(
    read,
    text.tokens(wanted.block_size, undefined, wanted),
  );
  const open = wanted.batch_size === "auto";
  const { config, dtype_reason, batch_reason } = await met(read, dims, train, open);
  const needs = needsOf(config, dims, train);
  const facts = textFacts(settled.tokens, config.block_size);
  const num_params = initFrom ? null : needs.num_params;
  const about = { num_tokens: num_tokens - num_val_tokens, num_params };
  const notes = [
    ...startNotes(config, about),
    ...settled.notes,
    ...(initFrom ? initialNotes(initFrom, config, text.tokenizer) : []),
  ];
  const what = isStream(format)
    ? `one text of ${plural(text.ids.length, "token")}`
    : plural(num_docs, "document");
  const rows = [
    `data       ${found.source}: ${what}, ${plural(vocab_size, "token")} in the vocabulary`,
    ...textRows(facts, found.first).map(([label, row]) => `${label.padEnd(11)}${row}`),
    `model      ${plural(needs.num_params, "parameter")}`,
    ...(dims.adapters
      ? [
          `trained    ${plural(needs.num_trained, "parameter")}: adapters of rank ${dims.adapters.R}, all else is frozen`,
        ]
      : []),
    ...(dtype_reason === null ? [] : [`dtype      ${dtype_reason}`]),
    ...(batch_reason === null ? [] : [`batch      ${batch_reason}`]),
    ...needsRows(config, needs),
    ...notes.map((note) => `note       ${note}`),
    ``,
    ...settingRows(config),
    ``,
  ];
  const description = { ...needs, ...facts, notes, dtype_reason, batch_reason, config };
  return [description, rows.join("\n")];
}

/** Only where the dtype or the batch is left open it takes a device to tell what a run would need. */
async function met(wanted: ReadConfig, dims: Dims, train: Examples, open: boolean) {
  const asks = open || wanted.dtype === "auto";
  const { device } = asks ? await chooseDevice("auto") : {};
  const small = asks ? chooseSmall(device, wanted, dims, train) : undefined;
  const typed = await chooseDtype(device, wanted, small);
  if (!open) return { ...typed, batch_reason: null };
  return { ...typed, ...(await chooseBatch(device, typed.config, dims, small)) };
}

function needsRows(config: Config, needs: Needs) {
  const { batch_size, grad_accumulation, dtype, recompute } = config;
  const { training, dtype_bytes, recompute_bytes, generation, flops_per_token } = needs;
  const row = ({ device_bytes, host_bytes, cpu_bytes }: Needs["training"]) =>
    `${bytes(device_bytes)} of GPU memory and ${bytes(host_bytes)} of main memory; on the CPU ${bytes(cpu_bytes)}`;
  const other = isHalf(dtype) ? "f32" : "f16";
  const recomputed = recompute
    ? `with --no-recompute ${bytes(recompute_bytes.off)} of GPU memory`
    : `with --recompute ${bytes(recompute_bytes.on)} of GPU memory`;
  const times = grad_accumulation > 1 ? `, ${count(grad_accumulation)} times a step` : "";
  return [
    `training   with a batch of ${count(batch_size)}${times}: ${row(training)}`,
    `           with --dtype ${other} ${bytes(dtype_bytes[other])} of GPU memory`,
    ...(recompute_bytes.on === recompute_bytes.off ? [] : [`           ${recomputed}`]),
    `           ${count(flops_per_token)} floating-point operations a token`,
    `writing    ${row(generation)}`,
  ];
}

function settingRows(config: Config): string[] {
  const groups = [...listed()];
  const names = groups.flatMap(([, settings]) => settings.map(({ name }) => name));
  const width = Math.max(...names.map((name) => name.length)) + 2;
  const shown = (name: keyof Config) =>
    config[name] === "" ? "none" : String(config[name]).replaceAll("\n", "\\n");
  const values = Math.max(...names.map((name) => shown(name).length)) + 2;
  return groups.flatMap(([title, settings], i) => [
    ...(i === 0 ? [] : [``]),
    title,
    ...settings.map(({ name, help }) => {
      return `  ${name.padEnd(width)}${shown(name).padEnd(values)}${help}`;
    }),
  ]);
}

/** Of a folder, in the order in which they are told. */
const shownFiles = [WEIGHTS_FILE, BASE_FILE, ADAPTER_FILE, CONFIG_FILE, TOKENIZER_FILE, STATE_FILE];

function describe(folder: string, { config, tokenizer, step, layout }: Model) {
  const files: Record<string, number> = {};
  for (const name of shownFiles) {
    const stat = statSync(join(folder, name), { throwIfNoEntry: false });
    if (stat !== undefined) files[name] = stat.size;
  }
  const { num_params, num_trained: _, ...needs } = needsOf(config, layout.dims);
  const tensors = layout.slices.map(({ name, shape, size }) => ({ name, shape, count: size }));
  return {
    model_dir: folder,
    files,
    step,
    num_params,
    vocab_size: tokenizer.vocab_size,
    needs,
    tokenizer: tokenizer.toJSON(),
    config,
    tensors,
  };
}

/** Characters are shown, and of longer tokens how many there are. */
function tokenizerRow(tokenizer: Tokenizer): string {
  const { kind, vocab_size } = tokenizer;
  const known = tokenizer instanceof CharTokenizer ? `: BOS and ${shownChars(tokenizer)}` : "";
  return `${kind}, ${plural(vocab_size, "token")}${known}`;
}

function shownChars({ chars }: CharTokenizer): string {
  const shown = printable(JSON.stringify(chars.slice(0, SHOWN_CHARS).join("")));
  const more = chars.length - SHOWN_CHARS;
  return more > 0 ? `${shown} and ${count(more)} more` : shown;
}

function toText(description: ReturnType<typeof describe>, tokenizer: Tokenizer): string {
  const { files, step, num_params, needs, config, tensors } = description;
  const sizes = Object.entries(files).map(([name, size]) => `${name} (${plural(size, "byte")})`);
  return [
    `model      ${description.model_dir}: ${sizes.join(", ")}`,
    `trained    ${plural(step, "step")}`,
    `tokenizer  ${tokenizerRow(tokenizer)}`,
    ...needsRows(config, { num_params, num_trained: num_params, ...needs }),
    ``,
    ...settingRows(config),
    ``,
    ...tensorRows(tensors),
    ``,
  ].join("\n");

  /** Layers all look alike: those that repeat the first one are a single row. */
  function tensorRows(
    tensors: { name: string; shape: readonly number[]; count: number }[],
  ): string[] {
    const rows = tensors
      .filter(({ name }) => !/^layer[1-9]/.test(name))
      .map(({ name, shape, count }) => row(name, `(${shape.join(", ")})`, count));
    const { n_layer } = config;
    if (n_layer > 1) {
      const rest = tensors.filter(({ name }) => /^layer[1-9]/.test(name));
      const sum = rest.reduce((sum, { count }) => sum + count, 0);
      rows.push(row(`layer1..${n_layer - 1}`, "each as layer0", sum));
    }
    return [...rows, row("all", plural(tensors.length, "tensor"), num_params)];
  }

  function row(name: string, shape: string, size: number): string {
    return `${name.padEnd(20)}${shape.padEnd(16)}${count(size).padStart(14)}`;
  }
}

if (import.meta.main) await run(main);
