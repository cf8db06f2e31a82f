// What every text begins with, from the command line or from a file.

import { readFileSync } from "node:fs";
import { count } from "../src/count.ts";
import { reason } from "../src/files/reason.node.ts";
import { decodeText } from "../src/text/decode.ts";
import type { Flags } from "./flags.ts";
import { UsageError } from "./given.ts";
import { prompt, promptFile } from "./options.ts";

/** Bytes of such a file at most: of a longer prompt a model sees no more than the end. */
const MOST_BYTES = 2 ** 20;

/**
 * The prompt, undefined where there is none. Of a file lines end as they do in a training text, and the newline that
 * ends the last line is no part of it.
 * @throws UsageError or DataError if it is given twice, is empty, or the file cannot be used
 */
export function promptOf(flags: Flags): string | undefined {
  const [text, file] = [flags.raw(prompt), flags.raw(promptFile)];
  if (text !== undefined && file !== undefined) {
    const isFlag = ({ label }: { label: string }) => label.startsWith("-");
    if (isFlag(text) === isFlag(file)) {
      throw new UsageError(
        `${text.label} and ${file.label} both say what a text begins with; leave one of them out.`,
      );
    }
    return isFlag(text) ? flags.text(prompt) : fromFile(flags.text(promptFile)!);
  }
  return file === undefined ? flags.text(prompt) : fromFile(flags.text(promptFile)!);
}

function fromFile(path: string): string {
  const needed = `--${promptFile.flag} takes a text file.`;
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new UsageError(`The prompt ${path} cannot be read: ${reason(error)}. ${needed}`);
  }
  if (bytes.length > MOST_BYTES) {
    throw new UsageError(
      `The prompt ${path} has ${count(bytes.length)} bytes, and at most ` +
        `${count(MOST_BYTES)} are taken; a model sees the end of a long one.`,
    );
  }
  const text = decodeText(bytes, path).replace(/\r\n?/g, "\n").replace(/\n$/, "");
  if (text === "") throw new UsageError(`The prompt ${path} is empty. ${needed}`);
  return text;
}
