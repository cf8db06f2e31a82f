// Model folders in a browser, which has none but those of servers: what stands there in place of model_dir.node.ts.

import { ModelFileError } from "../errors.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { fetchModel } from "./fetch_model.ts";
import type { Model } from "./model_files.ts";

/** @throws ModelFileError if there is no model at the address that can be used */
export function loadModel(address: string | URL): Promise<Model> {
  return fetchModel(absolute(address), false);
}

/** @throws ModelFileError if there is none there */
export function loadBest(address: string | URL): Promise<Model> {
  return fetchModel(absolute(address), true);
}

/** As the page's own addresses are: a worker is told absolute ones. */
function absolute(address: string | URL): URL {
  return new URL(address, globalThis.document?.baseURI ?? globalThis.location.href);
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
    `A browser reaches no folder ${folder}: loadCheckpoint() takes the bytes of a run's file there, and toBytes() gives them.`,
  );
}
