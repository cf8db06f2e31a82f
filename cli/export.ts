// Writes a saved model in a format that other programs read.
//
//   npm run export -- --model-dir output --format huggingface --output elsewhere
//   npm run export -- --model-dir output --format python --output names.py
//   npm run export -- --model-dir output --format torch --output cluster

import {
  type Exported,
  type ExportFormat,
  exportFormats,
  type ExportName,
} from "../src/exchange/formats.ts";
import { loadBest, loadModel } from "../src/files/model_dir.node.ts";
import { nearest } from "../src/nearest.ts";
import { command } from "./command.ts";
import { ExportPlace } from "./export_place.ts";
import type { Flags } from "./flags.ts";
import { textsOf } from "./earlier.ts";
import { exportRun } from "./export_run.ts";
import { aligned, bytes } from "./format.ts";
import { UsageError } from "./given.ts";
import { ALL_OR_NOTHING, Interrupt } from "./interrupt.ts";
import * as options from "./options.ts";
import { run } from "./run.ts";
import { writerPage } from "./writer_page.ts";

/** Those of a model, and that of a run with its text. */
const formats: Record<string, Omit<ExportFormat, "make">> = {
  ...exportFormats,
  torch: {
    what: "a folder with which PyTorch goes on with the run, under torchrun: its data in their order, and a script",
    kind: "folder",
    half: false,
  },
};
const names = Object.keys(formats);

const format: options.Option = {
  flag: "format",
  env: [],
  value: "NAME",
  help: Object.entries(formats)
    .map(([name, { what }]) => `${name} (${what})`)
    .join(", "),
};

const half: options.Option = {
  flag: "half",
  env: [],
  help: "weights in half precision (f16), where the format has it",
};

const output: options.Option = {
  flag: "output",
  env: [],
  value: "PATH",
  help: "the folder, or file, that is written",
};

const overwrite: options.Option = {
  flag: "overwrite",
  env: [],
  help: "replace the files that are there by these names",
};

/** Which text a run has, where it does not say so itself. */
const text = options.text.map((option) => ({ ...option, section: "The text of a run, for torch" }));

const description = {
  name: "export",
  summary: "Writes a saved model in a format that other programs read.",
  options: [options.modelDir, options.best, format, half, output, overwrite, ...text],
};

export const main = command(description, async (flags, io) => {
  const name = formatIn(flags);
  const kept = formats[name];
  if (flags.has(half) && !kept.half) {
    throw new UsageError(`The format ${name} has no weights in half precision; leave --half out.`);
  }
  const path = flags.text(output);
  if (path === undefined) throw new UsageError(`Where to? Give --output PATH, the ${kept.kind}.`);
  const place = new ExportPlace(path, kept.kind, flags.has(overwrite));
  // A model is read and made in one go: until it is written, a signal ends the process.
  const made = isOfModel(name) ? await exported(name, flags) : undefined;
  return Interrupt.during(
    io,
    async ({ signal }) => {
      const { files, notes } = made ?? (await exportRun(flags, io, signal));
      for (const left of place.leftovers()) {
        notes.push(
          `${left} is left of an export that was killed; remove it, unless one is at work.`,
        );
      }
      const written = await place.write(files, io.stderr, signal);
      const about = { format: name, output: path, files: written, notes };
      io.stdout.write(flags.has(options.json) ? `${JSON.stringify(about)}\n` : report(about));
      return 0;
    },
    ALL_OR_NOTHING,
  );
});

interface About {
  output: string;
  files: { name: string; size: number }[];
  notes: string[];
}

function report({ output, files, notes }: About): string {
  const rows = files.map(({ name, size }) => [`  ${name}`, bytes(size)]);
  return [output, aligned(rows, 1), ...notes.map((note) => `note  ${note}`), ``].join("\n");
}

function isOfModel(name: string): name is ExportName {
  return Object.hasOwn(exportFormats, name);
}

async function exported(name: ExportName, flags: Flags): Promise<Exported> {
  const given = flags.written(text);
  if (given !== undefined) {
    throw new UsageError(`${given} names the text of a run for --format torch; leave it out.`);
  }
  const { make }: ExportFormat = exportFormats[name];
  const folder = flags.text(options.modelDir);
  const model = flags.has(options.best) ? loadBest(folder) : loadModel(folder);
  return make(model, { half: flags.has(half), trained_on: textsOf(folder), writerPage });
}

function formatIn(flags: Flags): string {
  const given = flags.text(format);
  if (given === undefined) {
    throw new UsageError(`In which format? Give --format ${names.join(" or ")}.`);
  }
  if (names.includes(given)) return given;
  const match = nearest(given, names);
  const meant = match === undefined ? "" : ` Did you mean ${match}?`;
  throw new UsageError(`--format is "${given}"; it must be ${names.join(" or ")}.${meant}`);
}

if (import.meta.main) await run(main);
