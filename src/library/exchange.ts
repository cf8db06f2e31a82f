// Models to and from the formats of other programs, as files in memory.

import { ConfigError, ModelFileError } from "../errors.ts";
import { type ExportFormat, exportFormats, type ExportName } from "../exchange/formats.ts";
import { importFile, importFolder } from "../exchange/sources.ts";
import { sourceOf } from "../files/byte_source.ts";
import type { Model } from "../files/model_files.ts";
import { type Bytes, toArray } from "./bytes.ts";
import { checkChoice } from "./options.ts";

/** The formats of {@link exportModel}; pages that write by themselves come from the command `export`. */
export type ModelFormat = "huggingface" | "gguf" | "weights-json" | "python";

const formats: readonly Exclude<ExportName, "html">[] = [
  "huggingface",
  "gguf",
  "weights-json",
  "python",
] satisfies ModelFormat[];

/** A model in a format of other programs. */
export interface ExportedModel {
  /** By name, in the order in which they should be written: the last one makes them whole. */
  files: Map<string, Uint8Array<ArrayBuffer>>;
  /** What the format cannot say, a sentence each. */
  notes: string[];
}

/** A model of other programs. */
export interface ImportedModel {
  /** To write with, to {@link save}, or as a run's `initFrom`. */
  model: Model;
  /** What was chosen where the files left it open, a sentence each. */
  notes: string[];
}

/**
 * A model in the files of a format of other programs; the command `export` writes the same.
 * @throws ConfigError if there is no such format, or it has no weights in half precision
 * @throws UserError if the format has no place for the model
 */
export async function exportModel(
  model: Model,
  format: ModelFormat,
  { half = false }: { half?: boolean } = {},
): Promise<ExportedModel> {
  checkChoice("format", format, formats);
  const kept: ExportFormat = exportFormats[format];
  if (half && !kept.half) {
    throw new ConfigError("half", `The format ${format} has no weights in half precision.`);
  }
  const { files, notes } = await kept.make(model, { half });
  return { files: new Map(files.map((file) => [file.name, file.bytes])), notes };
}

/**
 * A model from the files of another program, by their names: those of a Hugging Face folder or of any other format that
 * the command `import` reads, or a single one, such as a .gguf.
 * @throws ModelFileError if they are of no model that can be had here, or anything about them is wrong
 */
export async function importModel(files: ReadonlyMap<string, Bytes>): Promise<ImportedModel> {
  if (files.size === 0) throw new ModelFileError("There are no files to import a model from.");
  const sources = await Promise.all(
    Array.from(files, async ([name, bytes]) => sourceOf(name, await toArray(bytes))),
  );
  if (sources.length === 1) return importFile(sources[0]);
  return importFolder({ path: "The folder", open: (name) => sources.find((s) => s.name === name) });
}
