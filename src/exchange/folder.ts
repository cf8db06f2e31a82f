// A folder of files that others wrote.

import { ModelFileError } from "../errors.ts";
import type { ByteSource } from "../files/byte_source.ts";
import { isObject, parseStrictJson } from "../strict_json.ts";

export interface ForeignFolder {
  /** For the messages. */
  readonly path: string;
  /** A file of it; undefined if there is none of that name. */
  open(name: string): ByteSource | undefined;
}

/** What is to be done about numbers of others that are none. */
export const GET_AGAIN = "Get the file again, or import another model.";

export type Json = Readonly<Record<string, unknown>>;

/** Bytes of a file of text at most: what is longer is no string. */
export const MOST_BYTES = 2 ** 29 - 24;

/**
 * The object that a file of JSON holds; undefined if there is no such file.
 * @throws ModelFileError if it holds anything else
 */
export function optionalJson(folder: ForeignFolder, name: string): Json | undefined {
  const file = folder.open(name);
  return file && jsonIn(file);
}

/** @throws ModelFileError as optionalJson(), and if there is no such file */
export function jsonOf(folder: ForeignFolder, name: string, why: string): Json {
  const found = optionalJson(folder, name);
  if (found !== undefined) return found;
  throw new ModelFileError(`${folder.path} has no ${name}, ${why}. Get all files of the model.`);
}

/** @throws ModelFileError if the file does not hold an object */
export function jsonIn(file: ByteSource): Json {
  const bad = (what: string) =>
    new ModelFileError(`${file.name} ${what}. It is damaged or is something else; get it again.`);
  if (file.size > MOST_BYTES)
    throw bad(`has ${file.size} bytes, and ${MOST_BYTES} are read at most`);
  let value: unknown;
  try {
    const utf8 = new TextDecoder("utf-8", { fatal: true });
    value = parseStrictJson(utf8.decode(file.read(0, file.size)));
  } catch (error) {
    if (error instanceof ModelFileError) throw error;
    throw bad(`is not usable JSON (${(error as Error).message})`);
  }
  if (!isObject(value)) throw bad("holds no object");
  return value;
}
