// What can be imported: one table for the command and the page.

import { ModelFileError } from "../errors.ts";
import type { ByteSource } from "../files/byte_source.ts";
import { CONFIG_FILE, WEIGHTS_FILE } from "../files/model_files.ts";
import { type ForeignFolder, jsonIn } from "./folder.ts";
import { GGUF_FILE } from "./gguf/export.ts";
import { importGguf } from "./gguf/import.ts";
import { importHuggingFace } from "./huggingface/read_folder.ts";
import { INDEX_FILE } from "./huggingface/read_weights.ts";
import type { Imported, ReadProgress } from "./imported.ts";
import { importPython } from "./microgpt/python.ts";
import {
  importStateDict,
  importWeightsJson,
  JSON_WEIGHTS,
  META_FILE,
} from "./microgpt/weights_json.ts";

interface FolderFormat {
  /** What it is, for the messages. */
  what: string;
  /** A folder that has one of them is meant to be such a one. */
  names: readonly string[];
  /** @throws ModelFileError if the model cannot be had here, or anything about the files is wrong */
  read(folder: ForeignFolder, progress?: ReadProgress): Imported;
}

interface FileFormat {
  what: string;
  /** How its name ends. */
  ends: string;
  /** @throws ModelFileError as of a folder */
  read(file: ByteSource, progress?: ReadProgress): Imported;
}

const folderFormats: readonly FolderFormat[] = [
  {
    what: `a folder of ${JSON_WEIGHTS} and ${META_FILE}`,
    names: [JSON_WEIGHTS, META_FILE],
    read: importWeightsJson,
  },
  {
    what: "a Hugging Face folder",
    names: [CONFIG_FILE, WEIGHTS_FILE, INDEX_FILE],
    read: importHuggingFace,
  },
  {
    what: `a folder with ${GGUF_FILE}`,
    names: [GGUF_FILE],
    read: (folder, progress) => importGguf(folder.open(GGUF_FILE)!, progress),
  },
];

const fileFormats: readonly FileFormat[] = [
  { what: "a GGUF in f32, f16 or bf16", ends: ".gguf", read: importGguf },
  { what: "a program that was exported", ends: ".py", read: importPython },
  {
    what: "microgpt.py's weights as JSON",
    ends: ".json",
    read: (file) => importStateDict(jsonIn(file), file.name),
  },
];

/** All of them, for --help and the messages. */
export const importable = [...folderFormats, ...fileFormats]
  .map((format) => ("ends" in format ? `${format.what} (${format.ends})` : format.what))
  .join(", ");

/** @throws ModelFileError if it is nothing that can be imported, or cannot be used */
export function importFolder(folder: ForeignFolder, progress?: ReadProgress): Imported {
  const format = folderFormats.find(({ names }) => names.some((name) => folder.open(name)));
  if (format === undefined) throw unknown(folder.path);
  return format.read(folder, progress);
}

/** @throws ModelFileError as importFolder() */
export function importFile(file: ByteSource, progress?: ReadProgress): Imported {
  const format = fileFormats.find(({ ends }) => file.name.toLowerCase().endsWith(ends));
  if (format !== undefined) return format.read(file, progress);
  if (file.name.endsWith(".safetensors")) {
    throw new ModelFileError(
      `${file.name} holds weights, and what the model is stands in the files beside it: import their folder.`,
    );
  }
  throw unknown(file.name);
}

function unknown(path: string): ModelFileError {
  return new ModelFileError(`${path} is nothing that can be imported. That is: ${importable}.`);
}
