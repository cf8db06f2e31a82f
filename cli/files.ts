// The training text of a command: what it names is gathered, and read.

import type { Readable } from "node:stream";
import { usesSeparator } from "../src/choices.ts";
import type { ConfigChoice } from "../src/config.ts";
import type { Corpus } from "../src/text/corpus.ts";
import type { Reading } from "../src/text/formats/reader.ts";
import { readFiles, type TextFile } from "../src/text/read_corpus.ts";
import type { Flags } from "./flags.ts";
import { allowPrivate, input, noCache, urlFile } from "./options.ts";
import type { Io } from "./run.ts";
import { firstDocuments } from "./text_rows.ts";

/** What the user names as the text. */
export interface Asked {
  /** As they were written, those of a list of URLs after the others; none where nothing was said. */
  inputs: readonly string[];
  cache: boolean;
  allowPrivate: boolean;
  /** Gives up reading it. */
  signal?: AbortSignal;
}

/** A text, and what is said of it. */
export interface Text {
  corpus: Corpus;
  found: Found;
}

export interface Found {
  /** Where it comes from. */
  source: string;
  /** The beginnings of its first documents; null where they need not be shown. */
  first: string | null;
}

/** The names that come along. */
const usual = "names";

/** @throws UsageError if a list of URLs cannot be used */
export async function askedIn(flags: Flags): Promise<Asked> {
  const list = flags.text(urlFile);
  const urls = list === undefined ? [] : (await import("./sources/gather.ts")).urlsIn(list);
  return {
    inputs: [...flags.all(input), ...urls],
    cache: !flags.has(noCache),
    allowPrivate: flags.has(allowPrivate),
  };
}

/**
 * The text of all that is named, or of the names that come along, which are a document a line.
 * @throws DataError if it cannot be read, is no text, or holds nothing to train on
 * @throws UsageError or ConfigError if it is asked for in a way that makes no sense
 * @throws the reason of `signal` once that is aborted
 */
export async function readText(
  { inputs, ...options }: Asked,
  io: Io,
  reading: Pick<ConfigChoice, "format"> & Reading,
): Promise<Text> {
  const { gather } = await import("./sources/gather.ts"); // and all that it needs
  const said = inputs.length > 0;
  const gathered = await gather(said ? inputs : [usual], io, options);
  const { files, label, separator, ...about } = gathered;
  let how = reading;
  const { format } = reading;
  if (reading.separator === "") {
    if (!said && format === "auto") how = { ...reading, format: "lines" };
    else if (separator !== "" && (format === "auto" || usesSeparator(format))) {
      how = { ...reading, separator };
    }
  }
  const source = said ? label : "names.txt";
  const { TextCache } = await import("./sources/text_cache.ts");
  const cache = TextCache.of(files, how, about.bytes, options.cache);
  let corpus = cache?.recallText();
  if (corpus === undefined) {
    try {
      corpus = await readFiles(
        untilAborted(files, options.signal),
        how,
        { source, ...about },
        cache,
      );
    } catch (error) {
      cache?.characters.discard();
      throw error;
    }
    cache?.keepText(corpus);
  }
  return { corpus, found: { source, first: said ? firstDocuments(corpus) : null } };
}

/** The files, of which none is read any further once the signal comes. */
function untilAborted(files: readonly TextFile[], signal?: AbortSignal): readonly TextFile[] {
  if (signal === undefined) return files;
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => {}); // where nobody waits any more
  return files.map((file) => ({ ...file, pieces: piecesUntil(file.pieces, signal, aborted) }));
}

async function* piecesUntil(
  pieces: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  aborted: Promise<never>,
) {
  const iterator = pieces[Symbol.asyncIterator]();
  try {
    for (;;) {
      signal.throwIfAborted();
      // Standard input may never have anything.
      const { done, value } = await Promise.race([iterator.next(), aborted]);
      if (done) return;
      yield value;
    }
  } finally {
    // Neither is waited for: standard input may hang in a read, and would keep the process.
    iterator.return?.().catch(() => {});
    if (signal.aborted) (pieces as Partial<Readable>).destroy?.();
  }
}
