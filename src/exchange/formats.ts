// The formats that a model can be exported in: one table for the command and the page.

import type { Model, ModelFile } from "../files/model_files.ts";
import { exportGguf } from "./gguf/export.ts";
import { exportHtml } from "./html.ts";
import { exportHuggingFace } from "./huggingface/write_folder.ts";
import { exportPython } from "./microgpt/python.ts";
import { exportWeightsJson } from "./microgpt/weights_json.ts";

export interface ExportOptions {
  /** Weights in half precision. */
  half: boolean;
  /** Names of the texts that the model has learnt from; none where nobody knows. */
  trained_on?: readonly string[];
  /** The page that models are exported into, built; html asks for it. */
  writerPage?: () => Promise<string>;
}

export interface Exported {
  /** In the order in which they are written: the last one makes them whole. */
  files: ModelFile[];
  /** What the format cannot say, a sentence each. */
  notes: string[];
}

export interface ExportFormat {
  /** What it is, for --help and the page. */
  what: string;
  /** Whether it is a folder of files, or one file, whose name here is only a proposal. */
  kind: "folder" | "file";
  /** Whether it can have weights in half precision. */
  half: boolean;
  /** @throws UserError if the model has no place in the format */
  make(model: Model, options: ExportOptions): Exported | Promise<Exported>;
}

export const exportFormats = {
  huggingface: {
    what: "a folder for transformers, vLLM, MLX and others",
    kind: "folder",
    half: true,
    make: exportHuggingFace,
  },
  gguf: {
    what: "model.gguf for llama.cpp and what is made of it, with a Modelfile for Ollama",
    kind: "folder",
    half: true,
    make: exportGguf,
  },
  "weights-json": {
    what: "weights.json and meta.json, nested lists of numbers",
    kind: "folder",
    half: false,
    make: exportWeightsJson,
  },
  python: {
    what: "a program of a page without dependencies that writes with a model of microgpt's shape, and trains it further",
    kind: "file",
    half: false,
    make: exportPython,
  },
  html: {
    what: "a page that writes by itself, opened from the disk and offline",
    kind: "file",
    half: true,
    make: exportHtml,
  },
} as const satisfies Record<string, ExportFormat>;

export type ExportName = keyof typeof exportFormats;
