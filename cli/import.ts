// Makes a model folder of a model that others have trained, or that was exported.
//
//   npm run import -- Qwen3-0.6B --output qwen
//   npm run import -- names.py --output names

import { statSync } from "node:fs";
import { join } from "node:path";
import { isRope } from "../src/choices.ts";
import { count, plural } from "../src/count.ts";
import { ModelFileError } from "../src/errors.ts";
import type { Imported, ReadProgress } from "../src/exchange/imported.ts";
import { importable, importFile, importFolder } from "../src/exchange/sources.ts";
import { FileSource } from "../src/files/byte_source.node.ts";
import type { Model } from "../src/files/model_files.ts";
import { dimsOf, ParameterLayout } from "../src/model/parameters.ts";
import { Breather } from "../src/platform/breather.ts";
import { commandLine } from "../src/platform/invocation.ts";
import { command } from "./command.ts";
import { isModelFolder } from "./earlier.ts";
import type { Flags } from "./flags.ts";
import { pathWord } from "./format.ts";
import { UsageError } from "./given.ts";
import { ALL_OR_NOTHING, Interrupt } from "./interrupt.ts";
import * as options from "./options.ts";
import { type Output, run } from "./run.ts";
import { RunFolder } from "./run_folder.ts";

const source: options.Option = {
  flag: "source",
  env: [],
  value: "SOURCE",
  help: `what is imported: ${importable}`,
};

const [blockSize] = options.settingOptions("block_size");

const description = {
  name: "import",
  summary: "Makes a model folder of a model that others have trained, or that was exported.",
  options: [
    options.output,
    options.overwrite,
    {
      ...blockSize,
      help: "context length in tokens, if it should be shorter than the model's, which takes less memory",
      default: undefined,
      section: undefined,
    },
  ],
  operand: source,
};

export const main = command(description, async (flags, io) => {
  const path = flags.text(source);
  if (path === undefined) {
    throw new UsageError(`What is to be imported? Name it: ${commandLine("import", "SOURCE")}.`);
  }
  const output = flags.text(options.output);
  const earlier = flags.has(options.overwrite) ? "replace" : "keep";
  // What it would be refused for is told before the reading, which takes the longest. While that lasts nothing is in the
  // folder, and a signal ends the process.
  (await RunFolder.open(output, earlier)).close();
  const { model, notes } = shortened(read(path, readProgress(io.stderr)), flags);
  return Interrupt.during(
    io,
    async ({ signal }) => {
      const folder = await RunFolder.open(output, earlier);
      try {
        const aside = await new Breather().through(folder.savingModel(model), signal);
        if (aside !== null) notes.push(`The model that was in ${output} is now in ${aside}.`);
      } finally {
        folder.close();
      }
      const { tokenizer, layout, config } = model;
      const about = {
        source: path,
        output,
        num_params: layout.size,
        vocab_size: tokenizer.vocab_size,
        block_size: config.block_size,
        notes,
      };
      if (flags.has(options.json)) io.stdout.write(`${JSON.stringify(about)}\n`);
      else io.stdout.write(report(about, model));
      return 0;
    },
    ALL_OR_NOTHING,
  );
});

/** @throws ModelFileError if it cannot be imported */
function read(path: string, progress: ReadProgress): Imported {
  const found = statSync(path, { throwIfNoEntry: false });
  const opened = new Map<string, FileSource | undefined>();
  const open = (path: string) => {
    if (!opened.has(path)) opened.set(path, FileSource.open(path));
    return opened.get(path);
  };
  try {
    if (!found?.isDirectory()) {
      const file = open(path);
      if (file !== undefined) return importFile(file, progress);
      throw new ModelFileError(
        `There is no ${path}. What can be imported is ${importable}; nothing is fetched from the network.`,
      );
    }
    if (isModelFolder(path)) {
      const words = ["--model-dir", pathWord(path)];
      throw new ModelFileError(
        `${path} holds a model of this program, which needs no import: ${commandLine("generate", ...words)}.`,
      );
    }
    return importFolder({ path, open: (name) => open(join(path, name)) }, progress);
  } finally {
    for (const file of opened.values()) file?.close();
  }
}

/** The model with the context that was asked for. */
function shortened({ model, notes }: Imported, flags: Flags): Imported {
  const { overrides, labels } = flags.settings();
  const { block_size } = overrides;
  if (block_size === undefined || block_size === model.config.block_size) return { model, notes };
  const { block_size: most, position } = model.config;
  if (block_size > most || !isRope(position)) {
    const why = isRope(position) ? `it may be shorter` : `its positions are learned, so it stays`;
    throw new UsageError(
      `${labels.block_size} is ${block_size}, and the context of the model is ${most}: ${why}. Leave it out, or lower it.`,
    );
  }
  const config = { ...model.config, block_size };
  const layout = new ParameterLayout(dimsOf(config, model.tokenizer.vocab_size));
  return { model: { ...model, config, layout }, notes };
}

interface About {
  source: string;
  output: string;
  notes: readonly string[];
}

function report({ source, output, notes }: About, { layout, tokenizer, config }: Model): string {
  const sizes = `${plural(layout.size, "parameter")}, ${tokenizer.kind} of ${plural(tokenizer.vocab_size, "token")}`;
  return [
    `imported  ${source}: ${sizes}, a context of ${count(config.block_size)}`,
    ...notes.map((note) => `note      ${note}`),
    `saved     ${output}`,
    `write     ${commandLine("generate", "--model-dir", pathWord(output))}`,
    ``,
  ].join("\n");
}

/** On a terminal, how many tensors are read. */
function readProgress(out: Output): ReadProgress {
  return (done, total) => {
    if (!out.isTTY) return;
    out.write(
      done < total ? `\rreading tensor ${count(done + 1)} of ${count(total)}\x1b[K` : `\r\x1b[K`,
    );
  };
}

if (import.meta.main) await run(main);
