// A saved model, from wherever it lies, ready to write: in this thread or in a worker.

import { loadBest, loadModel } from "#model_dir";
import type { DeviceChoice } from "../device/choose.ts";
import { DataError } from "../errors.ts";
import { fetchModel } from "../files/fetch_model.ts";
import { decodeModelFile, encodeModel, type Model } from "../files/model_files.ts";
import { checkNames } from "../names.ts";
import { type Bytes, toArray } from "./bytes.ts";
import { LoadedModel } from "./loaded_model.ts";
import type { WorkerLike } from "./messages.ts";
import { checkDevice } from "./options.ts";
import { RemoteWriter } from "./remote_writer.ts";
import type { Writer } from "./writer.ts";

/** How a model is loaded, all of it optional. */
export interface LoadOptions {
  /**
   * Of a folder, the model that the run kept as its best, by the loss of its validations, in the last one's place; its
   * file's bytes are given as those of any model.
   */
  best?: boolean;
  /** What writes: `auto` where absent, which is WebGPU, or the CPU where there is none. */
  device?: DeviceChoice;
  /** The `model` of what its `completions` give; `microgpt` where absent. */
  name?: string;
}

/** What a model is loaded from. */
export type ModelSource = string | URL | Bytes | Model;

/**
 * A saved model, ready to write; its device is readied for the first text.
 * @param from the folder where it lies, in a browser its address or that of its model.safetensors; the bytes of that
 *   file; or a model that is at hand
 * @throws ModelFileError if there is no model that can be used
 * @throws ConfigError if an option is unknown or has a value that it cannot have
 */
export async function load(from: ModelSource, options?: LoadOptions): Promise<LoadedModel>;
/**
 * The same in a worker, so that this thread stays free: one whose module is `microgpt-webgpu/worker`. There the values of
 * the model are, too.
 */
export async function load(
  from: ModelSource,
  options: LoadOptions & { worker: WorkerLike },
): Promise<Writer>;
export async function load(
  from: ModelSource,
  options: LoadOptions & { worker?: WorkerLike } = {},
): Promise<Writer> {
  checkNames("option", options, ["best", "device", "name", "worker"]);
  const { worker, ...others } = options;
  const { best = false, device = "auto", name = "microgpt" } = others;
  checkDevice(device);
  if (worker) return RemoteWriter.load(worker, await sendable(from), others);
  return new LoadedModel(await modelFrom(from, best), device, name);
}

async function modelFrom(from: ModelSource, best: boolean): Promise<Model> {
  if (typeof from === "string" || from instanceof URL) {
    const isRemote = /^https?:/i.test(String(from));
    if (isRemote) return fetchModel(new URL(from), best);
    return best ? loadBest(from) : loadModel(from);
  }
  if (isModel(from)) return from;
  if (isBytes(from)) return decodeModelFile(await toArray(from), "the bytes");
  throw new DataError(
    `A model is loaded from its folder or address, or from the bytes of its file; none of them was given.`,
  );
}

/** The same, for a worker, whose addresses are those of this page. */
async function sendable(from: ModelSource): Promise<string | Bytes> {
  if (from instanceof URL) return from.href;
  if (typeof from === "string") {
    const base = globalThis.document?.baseURI ?? globalThis.location?.href;
    return base === undefined ? from : new URL(from, base).href;
  }
  return isModel(from) ? encodeModel(from)[0].bytes : from;
}

function isModel(from: unknown): from is Model {
  return typeof from === "object" && from !== null && "values" in from && "layout" in from;
}

function isBytes(from: unknown): from is Bytes {
  return from instanceof Uint8Array || from instanceof ArrayBuffer || from instanceof Blob;
}
