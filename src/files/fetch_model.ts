// A model from its address.

import { ModelFileError } from "../errors.ts";
import { ADAPTER_FILE, BASE_FILE, decodeAdapted } from "./adapter_files.ts";
import { BEST_FILE, decodeModelFile, type Model, WEIGHTS_FILE } from "./model_files.ts";

/** What a server gives for a file, or why it gives nothing. */
type Fetched = { bytes: Uint8Array; why?: undefined } | { bytes?: undefined; why: string };

/**
 * @param address of a model's folder, that of adapters and their base too, or of its file
 * @param best of a folder, whether it is the run's best model that is meant
 * @throws ModelFileError if there is no model that can be used
 */
export async function fetchModel(address: URL, best: boolean): Promise<Model> {
  const [, folder, named] = /^(.*?)\/?(?:\/([^/]*\.safetensors))?$/.exec(address.pathname)!;
  const at = (file: string) => {
    const url = new URL(address);
    url.pathname = `${folder}/${file}`;
    return url.href;
  };
  const get = (file: string) => fetchFile(at(file));
  const adapted = async (adapters: Uint8Array) => {
    const files = new Map([[ADAPTER_FILE, adapters]]);
    const { bytes } = await get(BASE_FILE);
    if (bytes) files.set(BASE_FILE, bytes);
    return decodeAdapted((name) => files.get(name), address.origin + folder);
  };
  const file = named ?? (best ? BEST_FILE : WEIGHTS_FILE);
  const { bytes, why } = await get(file);
  if (bytes) return file === ADAPTER_FILE ? adapted(bytes) : decodeModelFile(bytes, at(file));
  const adapters = file === WEIGHTS_FILE && !named ? await get(ADAPTER_FILE) : undefined;
  if (adapters?.bytes) return adapted(adapters.bytes);
  throw new ModelFileError(
    `${at(file)} cannot be fetched: ${why}. A model's folder is needed, or its ${WEIGHTS_FILE}, from a server that this ` +
      `page may ask.`,
  );
}

async function fetchFile(url: string): Promise<Fetched> {
  try {
    const response = await fetch(url);
    if (response.ok) {
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (!isPage(response, bytes)) return { bytes };
      return { why: "the server answers with a page, as some do for what is not there" };
    }
    return { why: `the server answers ${response.status} ${response.statusText}`.trim() };
  } catch (error) {
    return { why: error instanceof Error ? error.message : String(error) };
  }
}

/** By its beginning too: simple servers call all files pages. */
function isPage({ headers }: Response, bytes: Uint8Array): boolean {
  const beginning = new TextDecoder().decode(bytes.subarray(0, 64));
  const called = /^text\/html/i.test(headers.get("content-type") ?? "");
  return called && /^\s*<(!doctype|html)/i.test(beginning);
}
