// Shows what a model folder holds.
//
//   npm run info -- --model-dir output

import { statSync } from "node:fs";
import { join } from "node:path";
import { settings } from "../src/config.ts";
import { CONFIG_FILE, type Model, TOKENIZER_FILE, WEIGHTS_FILE } from "../src/files/model_files.ts";
import { command } from "./command.ts";
import { loadModel } from "./model_dir.ts";
import * as options from "./options.ts";
import { count, plural } from "./progress.ts";
import { run } from "./run.ts";

/** Of a vocabulary: more would hide the rest of the report. */
const SHOWN_CHARS = 100;

const description = {
  name: "info",
  summary: "Shows the settings, the tokenizer and the tensors of a saved model.",
  options: [options.modelDir],
};

export const main = command(description, async (flags, io) => {
  const folder = flags.text(options.modelDir);
  const description = describe(folder, loadModel(folder));
  io.stdout.write(
    flags.has(options.json) ? `${JSON.stringify(description)}\n` : toText(description),
  );
  return 0;
});

function describe(folder: string, { config, tokenizer, step, layout }: Model) {
  const files: Record<string, number> = {};
  for (const name of [WEIGHTS_FILE, CONFIG_FILE, TOKENIZER_FILE]) {
    const stat = statSync(join(folder, name), { throwIfNoEntry: false });
    if (stat !== undefined) files[name] = stat.size;
  }
  const tensors = layout.slices.map(({ name, shape, size }) => ({ name, shape, count: size }));
  return {
    model_dir: folder,
    files,
    step,
    num_params: tensors.reduce((sum, { count }) => sum + count, 0),
    vocab_size: tokenizer.vocab_size,
    tokenizer: tokenizer.toJSON(),
    config,
    tensors,
  };
}

function toText(description: ReturnType<typeof describe>): string {
  const { files, step, num_params, vocab_size, tokenizer, config, tensors } = description;
  const sizes = Object.entries(files).map(([name, size]) => `${name} (${count(size)} bytes)`);
  const chars = JSON.stringify(tokenizer.chars.slice(0, SHOWN_CHARS).join(""));
  const more = tokenizer.chars.length - SHOWN_CHARS;
  const known = more > 0 ? `${chars} and ${count(more)} more` : chars;
  return [
    `model      ${description.model_dir}: ${sizes.join(", ")}`,
    `trained    ${plural(step, "step")}`,
    `tokenizer  ${tokenizer.type}, ${plural(vocab_size, "token")}: BOS and ${known}`,
    ``,
    ...settings.map(
      ({ name, help }) => `${name.padEnd(15)}${String(config[name]).padEnd(12)}${help}`,
    ),
    ``,
    ...tensorRows(tensors),
    ``,
  ].join("\n");

  /** Layers all look alike: those that repeat the first one are a single row. */
  function tensorRows(tensors: { name: string; shape: number[]; count: number }[]): string[] {
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
