// A text that is not held in memory is the same text: its windows, its documents, its fingerprint, and a run on it.

import {
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { TextCache } from "../../cli/sources/text_cache.ts";
import { gather } from "../../cli/sources/gather.ts";
import { resolveConfig } from "../../src/config.ts";
import { DataError, UnknownCharacterError } from "../../src/errors.ts";
import { IdsFileWriter } from "../../src/files/ids_file.node.ts";
import { fingerprint } from "../../src/text/fingerprint.ts";
import { readFiles } from "../../src/text/read_corpus.ts";
import { splitTokens } from "../../src/text/split.ts";
import { StoredIds } from "../../src/text/stored_ids.ts";
import { TokenStream } from "../../src/text/stream.ts";
import { CharTokenizer } from "../../src/tokenizer/char.ts";
import { tokenize } from "../../src/training/tokenize.ts";
import { Training } from "../../src/training/train.ts";
import { FakeIo, temporaryFolder } from "../cli/fake_io.ts";

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
  vi.stubEnv("MICROGPT_CACHE_DIR", folder);
  onTestFinished(() => void vi.unstubAllEnvs());
});

const reading = { field: "", separator: "", skip_bad_lines: false };
const kept = () =>
  readdirSync(join(folder, "texts"))
    .filter((name) => !name.endsWith(".note"))
    .sort();

/** Reads a file through a cache, or in memory where `large` is more than it has. */
async function read(path: string, format: "lines" | "text" | "auto", large = 1, caches = true) {
  const how = { format, ...reading };
  const { files, bytes } = await gather([path], new FakeIo(), { cache: true, allowPrivate: false });
  const cache = TextCache.of(files, how, bytes, caches, large);
  const recalled = cache?.recallText();
  if (recalled) return { corpus: recalled, recalled: true };
  const corpus = await readFiles(files, how, { source: path }, cache);
  cache?.keepText(corpus);
  return { corpus, recalled: false };
}

const text = Array.from(
  { length: 300 },
  (_, i) => `é${i} 漢字 \u{1F600} ${"plum ".repeat(i % 7)}`,
).join("\n");

function fileOf(content: string): string {
  const path = join(temporaryFolder(), "book.txt");
  writeFileSync(path, content);
  return path;
}

describe.each(["lines", "text"] as const)("a text in format %s", (format) => {
  test("is the same from a file, at first and recalled", async () => {
    const path = fileOf(text);
    const config = resolveConfig("microgpt", { format, block_size: 8, val_fraction: 0.2 });
    const told = async ({ corpus }: Awaited<ReturnType<typeof read>>) => {
      const tokens = corpus.tokens(8, undefined, config);
      const { train, validation, ...counts } = splitTokens(config, tokens);
      const rows = Array.from({ length: 5 }, (_, i) =>
        train instanceof TokenStream ? train.windowAt(i, 1) : train.at(7 * i),
      );
      const { tokenizer, num_docs, format_reason } = corpus;
      return {
        rows,
        validation,
        counts,
        num_docs,
        format_reason,
        chars: tokenizer.chars,
        text: await fingerprint(tokens, tokenizer),
        document: corpus.document(0),
      };
    };
    const whole = await read(path, format, Infinity);
    const first = await read(path, format);
    const again = await read(path, format);
    expect([whole.corpus.ids, first.corpus.ids].map((ids) => ids instanceof StoredIds)).toEqual([
      false,
      true,
    ]);
    expect([first.recalled, again.recalled]).toEqual([false, true]);
    expect(await told(first)).toEqual(await told(whole));
    expect(await told(again)).toEqual(await told(whole));
  });

  test("is trained on with the same losses", async () => {
    const path = fileOf(text);
    const config = resolveConfig("microgpt", { format, num_steps: 3, block_size: 8 });
    const losses = async (large: number) => {
      const { corpus: documents } = await read(path, format, large);
      const training = await Training.open({ config, documents, device: "cpu" });
      onTestFinished(() => training.close());
      const found: number[] = [];
      for await (const { loss } of training.steps()) found.push(loss);
      return found;
    };
    expect(await losses(1)).toEqual(await losses(Infinity));
  });
});

test("what takes long is not found out twice: the tokenizer, and the fingerprint", async () => {
  const path = fileOf(text);
  const config = resolveConfig("microgpt", { format: "text", tokenizer: "bpe", vocab_size: 300 });
  const found = async (large: number, folded: string[]) => {
    const { corpus } = await read(path, "text", large);
    const progress = ({ what }: { what: string }) => void folded.push(what);
    const training = await Training.open({ config, documents: corpus, device: "cpu", progress });
    onTestFinished(() => training.close());
    const { text: identity, tokenizer } = await training.checkpoint();
    return [identity, tokenizer.toJSON()];
  };
  const [first, second]: string[][] = [[], []];
  const whole = await found(Infinity, []);
  expect(await found(1, first)).toEqual(whole);
  const digest = vi.spyOn(crypto.subtle, "digest");
  expect(await found(1, second)).toEqual(whole);
  expect(digest).not.toHaveBeenCalled();
  digest.mockRestore();
  expect(first).toContain("tokenize");
  expect(second).not.toContain("tokenize");
  expect(second.length).toBeLessThan(first.length);
});

describe.each(["lines", "text"] as const)("tokens of a text in format %s", (format) => {
  const config = { tokenizer: "bpe", vocab_size: 300, bpe_pattern: "gpt2", n_embd: 16 } as const;

  test("are the same from a file, at first and recalled, and those of each tokenizer its own", async () => {
    const path = fileOf(text.repeat(3));
    const told = async (large: number, vocab_size = 300) => {
      const { corpus } = await read(path, format, large);
      const { text } = await tokenize(corpus, { ...config, vocab_size });
      const { tokenizer, starts, num_docs } = text;
      return {
        ids: [...text.ids],
        starts: [...starts],
        num_docs,
        last: text.document(num_docs - 1),
        tokenizer: tokenizer.toJSON(),
      };
    };
    const whole = await told(Infinity);
    const first = await told(1);
    expect(first).toEqual(whole);
    const files = kept();
    expect(files).toHaveLength(2 * 3);
    expect(await told(1)).toEqual(whole);
    expect(kept()).toEqual(files);
    expect((await told(1, 310)).ids).not.toEqual(whole.ids);
    expect(kept()).toHaveLength(3 * 3);
  });

  test("leave nothing behind where they are given up, or cannot be", async () => {
    const path = fileOf(text);
    const { corpus } = await read(path, format);
    const given = CharTokenizer.fromDocuments(["abc"]);
    const lacking = tokenize(corpus, { ...config, tokenizer: "file", vocab_size: 0 }, { given });
    await expect(lacking).rejects.toThrow(UnknownCharacterError);
    const signal = AbortSignal.abort(new Error("stop"));
    await expect(tokenize(corpus, config, { signal })).rejects.toThrow("stop");
    expect(kept()).toHaveLength(3);
  });
});

test("what was found is recalled too: the format, and what was left out", async () => {
  const path = fileOf(`{"text":"a"}\n{"text":""}\n`);
  const { corpus } = await read(path, "auto");
  const again = await read(path, "auto");
  expect(again.recalled).toBe(true);
  expect(again.corpus.skipped).toEqual(["1 empty record"]);
  expect(again.corpus.format_reason).toBe(corpus.format_reason);
});

test("a file that was changed, or is read otherwise, is another text", async () => {
  const path = fileOf(text);
  await read(path, "lines");
  expect((await read(path, "text")).recalled).toBe(false);
  utimesSync(path, new Date(), new Date(Date.now() + 5000));
  expect((await read(path, "lines")).recalled).toBe(false);
  expect(kept().filter((name) => name.endsWith(".ids"))).toHaveLength(3);
});

test("what is damaged is read anew, and what is not to be kept is not", async () => {
  const path = fileOf(text);
  await read(path, "text");
  const [ids] = kept().filter((name) => name.endsWith(".ids"));
  truncateSync(join(folder, "texts", ids), 100);
  expect((await read(path, "text")).recalled).toBe(false);
  expect((await read(path, "text")).recalled).toBe(true);
  writeFileSync(join(folder, "texts", ids.replace("ids", "json")), "{");
  expect((await read(path, "text")).recalled).toBe(false);

  vi.stubEnv("MICROGPT_CACHE_DIR", (folder = temporaryFolder()));
  expect((await read(path, "text", 1, false)).corpus.document(0)).toBe(text);
  expect(readdirSync(folder)).toEqual([]);
});

test("only the texts that were used last are kept, and nothing half done", async () => {
  const paths = Array.from({ length: 8 }, (_, i) => fileOf(`${i}${text}`));
  const [old, young] = ["a.part", "b.part.json"].map((name) => join(folder, "texts", name));
  mkdirSync(join(folder, "texts"));
  for (const path of [old, young]) writeFileSync(path, "");
  utimesSync(old, 0, Date.now() / 1000 - 3600);
  for (const path of paths) await read(path, "text");
  expect([old, young].map((path) => existsSync(path))).toEqual([false, true]);
  rmSync(young);
  expect(kept()).toHaveLength(3 * 6);
  expect((await read(paths[7], "text")).recalled).toBe(true);
  expect((await read(paths[0], "text")).recalled).toBe(false);
});

test("what a run that was killed half way through keeping it has left goes, and what is whole does not", async () => {
  const path = fileOf(text);
  await read(path, "text");
  const whole = kept();
  const left = ["old.ids", "old.starts", "young.ids"].map((name) => join(folder, "texts", name));
  for (const name of left) writeFileSync(name, "");
  for (const name of whole) utimesSync(join(folder, "texts", name), 1, 1);
  for (const name of left.slice(0, 2)) utimesSync(name, 1, 1);
  expect((await read(path, "text")).recalled).toBe(true);
  expect(kept()).toEqual([...whole, "young.ids"].sort());
});

test("two runs at once leave one whole text", async () => {
  const path = fileOf(text);
  const both = await Promise.all([read(path, "text"), read(path, "text")]);
  for (const { corpus } of both) expect(corpus.document(0)).toBe(text);
  expect(kept()).toHaveLength(3);
  expect((await read(path, "text")).corpus.document(0)).toBe(text);
});

test("any ids come back from a file, however wide they get, and under other numbers", () => {
  let place = 0;
  const part = fc.array(fc.oneof(fc.nat(300), fc.nat(70_000)), { maxLength: 50 });
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 8 }), fc.nat(400), (parts, from) => {
      const writer = new IdsFileWriter(join(folder, `${++place}`), 1);
      if (from % 2 === 0) writer.hide();
      const Kinds = [Uint8Array, Uint16Array, Uint32Array];
      let kind = 0;
      for (const ids of parts) {
        kind = Math.max(kind, ...ids.map((id) => (id < 256 ? 0 : id < 65536 ? 1 : 2)));
        writer.append(new Kinds[kind](ids));
      }
      const all = parts.flat();
      const ids = writer.end();
      const start = Math.min(from, all.length);
      expect([...ids]).toEqual(all);
      expect([...ids.subarray(start).read(0, all.length - start)]).toEqual(all.slice(start));
      const numbers = Uint32Array.from({ length: 70_001 }, (_, i) => 70_000 - i);
      const other = [...ids.renumbered(numbers)];
      const mask = [0xff, 0xffff, 0xffffffff][kind];
      expect(other).toEqual(all.map((id) => (70_000 - id) & mask));
      expect(readdirSync(folder)).toHaveLength(from % 2);
      writer.discard();
    }),
    { numRuns: 50 },
  );
});

test("a folder that refuses it is told", () => {
  const writing = () => new IdsFileWriter("/none/at/all", 2);
  expect(writing).toThrow(DataError);
  expect(writing).toThrow(/its copy cannot be written to \/none\/at\/all: there is no such file/);
});
