// The tensors of a Hugging Face folder: one file, or several that an index lists.

import { ModelFileError } from "../../errors.ts";
import type { ByteSource } from "../../files/byte_source.ts";
import { type Dtype, toFloat32 } from "../../files/floats.ts";
import { WEIGHTS_FILE } from "../../files/model_files.ts";
import { decodePlaces, headBytes, type TensorPlace } from "../../files/safetensors.ts";
import { isObject, show } from "../../strict_json.ts";
import { type ForeignFolder, optionalJson } from "../folder.ts";

export const INDEX_FILE = `${WEIGHTS_FILE}.index.json`;

const readable = ["F32", "F16", "BF16"] as const satisfies readonly Dtype[];

/** A tensor that lies in a file. */
export interface StoredTensor extends TensorPlace<(typeof readable)[number]> {
  file: ByteSource;
}

/**
 * Every tensor of the folder, by name.
 * @throws ModelFileError if a file is missing or anything about it is not as the format has it, or a tensor is there twice
 */
export function tensorsIn(folder: ForeignFolder): Map<string, StoredTensor> {
  const tensors = new Map<string, StoredTensor>();
  const index = optionalJson(folder, INDEX_FILE);
  const where = index && filesOf(index.weight_map, `${folder.path}/${INDEX_FILE}`);
  for (const name of where ? new Set(where.values()) : [WEIGHTS_FILE]) {
    const file = folder.open(name);
    if (file === undefined) throw missing(folder, name);
    for (const place of placesIn(file)) {
      const other = tensors.get(place.name);
      if (other !== undefined) {
        throw new ModelFileError(
          `${file.name} has the tensor ${show(place.name)}, which ${other.file.name} has too. Get the files of one model.`,
        );
      }
      tensors.set(place.name, { ...place, file });
    }
  }
  for (const [name, file] of where ?? []) {
    if (tensors.get(name)?.file.name === folder.open(file)?.name) continue;
    throw new ModelFileError(
      `${folder.path}/${INDEX_FILE} says that ${show(name)} is in ${file}, and it is not. Get the files of one model.`,
    );
  }
  return tensors;
}

function placesIn(file: ByteSource) {
  const start = file.read(0, Math.min(8, file.size));
  const head = file.read(0, headBytes(start, file.size, file.name));
  return decodePlaces(head, file.size, file.name, readable).places;
}

/** The file of each tensor, as an index has it. */
function filesOf(map: unknown, source: string): Map<string, string> {
  if (!isObject(map) || Object.keys(map).length === 0) {
    throw new ModelFileError(
      `${source} has the weight_map ${show(map)}; the file of each tensor is needed. Get it again.`,
    );
  }
  for (const [name, file] of Object.entries(map)) {
    // A path would lead out of the folder.
    if (typeof file === "string" && /^[\w.-]+\.safetensors$/.test(file)) continue;
    throw new ModelFileError(
      `${source} names ${show(file)} as the file of ${show(name)}; the name of a file beside it is needed, such as ` +
        `model-00001-of-00002.safetensors. Get it again.`,
    );
  }
  return new Map(Object.entries(map) as [string, string][]);
}

function missing(folder: ForeignFolder, name: string): ModelFileError {
  const pickled = ["pytorch_model.bin", "pytorch_model.bin.index.json"].find((other) =>
    folder.open(other),
  );
  return new ModelFileError(
    pickled === undefined
      ? `${folder.path} has no ${name}, which should hold weights. Get all files of the model.`
      : `${folder.path} has its weights in ${pickled} and has no ${name}; only safetensors are read. Get a copy of ` +
          `the model in that format, or save it so: model.save_pretrained(folder, safe_serialization=True).`,
  );
}

/** Its numbers, a part of the file in memory at a time. */
export function readTensor({ file, begin, end, dtype }: StoredTensor, into: Float32Array): void {
  toFloat32(file.read(begin, end), dtype, into);
}
