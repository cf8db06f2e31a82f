// The corpus of one file, from its bytes as they come.

import type { Corpus } from "../../src/text/corpus.ts";
import { type How, readFiles } from "../../src/text/read_corpus.ts";

export function readCorpus(
  pieces: AsyncIterable<Uint8Array>,
  how: How,
  { bytes, ...from }: { source: string; path: string | null; bytes?: number },
): Promise<Corpus> {
  return readFiles([{ ...from, pieces }], how, { source: from.source, bytes });
}
