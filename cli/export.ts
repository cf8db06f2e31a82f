// Writes a saved model in a format that other programs read.
//
//   npm run export -- --model-dir output --format huggingface --output elsewhere
//   npm run export -- --model-dir output --format python --output names.py

import { type ExportFormat, exportFormats } from "../src/exchange/formats.ts";
import { loadBest, loadModel } from "../src/files/model_dir.node.ts";
import { nearest } from "../src/nearest.ts";
import { command } from "./command.ts";
import { ExportPlace } from "./export_place.ts";
import type { Flags } from "./flags.ts";
import { aligned, bytes } from "./format.ts";
import { UsageError } from "./given.ts";
import * as options from "./options.ts";
import { run } from "./run.ts";

const names = Object.keys(exportFormats);

const format: options.Option = {
  flag: "format",
  env: [],
  value: "NAME",
  help: Object.entries<ExportFormat>(exportFormats)
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

const description = {
  name: "export",
  summary: "Writes a saved model in a format that other programs read.",
  options: [options.modelDir, options.best, format, half, output, overwrite],
};

export const main = command(description, async (flags, io) => {
  const name = formatIn(flags);
  const { make, ...kept }: ExportFormat = exportFormats[name];
  if (flags.has(half) && !kept.half) {
    throw new UsageError(`The format ${name} has no weights in half precision; leave --half out.`);
  }
  const path = flags.text(output);
  if (path === undefined) throw new UsageError(`Where to? Give --output PATH, the ${kept.kind}.`);
  const place = new ExportPlace(path, kept.kind, flags.has(overwrite));
  const folder = flags.text(options.modelDir);
  const model = flags.has(options.best) ? loadBest(folder) : loadModel(folder);
  const { files, notes } = await make(model, { half: flags.has(half) });
  const written = place.write(files, io.stderr);
  if (flags.has(options.json)) {
    io.stdout.write(`${JSON.stringify({ format: name, output: path, files: written, notes })}\n`);
    return 0;
  }
  const rows = written.map(({ name, size }) => [`  ${name}`, bytes(size)]);
  io.stdout.write(`${path}\n${aligned(rows, 1)}\n`);
  for (const note of notes) io.stdout.write(`note  ${note}\n`);
  return 0;
});

function formatIn(flags: Flags): keyof typeof exportFormats {
  const text = flags.text(format);
  if (text === undefined) {
    throw new UsageError(`In which format? Give --format ${names.join(" or ")}.`);
  }
  if (Object.hasOwn(exportFormats, text)) return text as keyof typeof exportFormats;
  const match = nearest(text, names);
  const meant = match === undefined ? "" : ` Did you mean ${match}?`;
  throw new UsageError(`--format is "${text}"; it must be ${names.join(" or ")}.${meant}`);
}

if (import.meta.main) await run(main);
