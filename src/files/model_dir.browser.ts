// Model folders in a browser, which has none: what stands there in place of model_dir.node.ts.

import { ModelFileError } from "../errors.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { Model } from "./model_files.ts";

export function loadModel(folder: string): Model {
  return refuse(folder);
}

export function loadBest(folder: string): Model {
  return refuse(folder);
}

export function loadCheckpoint(folder: string): Checkpoint {
  return refuse(folder);
}

export function saveModel(folder: string, _model: Model): void {
  refuse(folder);
}

export function saveCheckpoint(folder: string, _checkpoint: Checkpoint): void {
  refuse(folder);
}

function refuse(folder: string): never {
  throw new ModelFileError(
    `A browser reaches no folder ${folder}: load() takes the bytes of a model's file there, and toBytes() gives them.`,
  );
}
