// A model from its address.

import { ModelFileError } from "../errors.ts";
import { BEST_FILE, decodeModelFile, type Model, WEIGHTS_FILE } from "./model_files.ts";

/**
 * @param address of a model's folder, or of its file
 * @param best of a folder, whether it is the run's best model that is meant
 * @throws ModelFileError if there is no model that can be used
 */
export async function fetchModel(address: URL, best: boolean): Promise<Model> {
  const url = new URL(address);
  if (!url.pathname.endsWith(".safetensors")) {
    url.pathname = `${url.pathname.replace(/\/$/, "")}/${best ? BEST_FILE : WEIGHTS_FILE}`;
  }
  const need = `A model's folder is needed, or its ${WEIGHTS_FILE}, from a server that this page may ask.`;
  const refuse = (why: string): never => {
    throw new ModelFileError(`${url.href} cannot be fetched: ${why}. ${need}`);
  };
  const failed = (error: unknown) => refuse(error instanceof Error ? error.message : String(error));
  const response = await fetch(url).catch(failed);
  if (!response.ok)
    return refuse(`the server answers ${response.status} ${response.statusText}`.trim());
  return decodeModelFile(new Uint8Array(await response.arrayBuffer().catch(failed)), url.href);
}
