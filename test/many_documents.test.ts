// Texts of millions of documents: what is done with each of them lets signals through, and comes to what it always did.

import { afterEach, describe, expect, test, vi } from "vitest";
import { resolveConfig } from "../src/config.ts";
import { presets } from "../src/presets.ts";
import { PythonRandom } from "../src/random.ts";
import { packDocuments, packedTokens } from "../src/small/data.ts";
import { Corpus } from "../src/text/corpus.ts";
import { countPositions, countTokens, identity, type Sequences } from "../src/text/documents.ts";
import { fingerprint } from "../src/text/fingerprint.ts";
import { corpusOf } from "../src/text/read_corpus.ts";
import { splitTokens } from "../src/text/split.ts";
import type { PrepareEvent } from "../src/training/events.ts";
import { shuffleDocuments } from "../src/training/many_documents.ts";
import { Training } from "../src/training/train.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Whenever it is asked the time a while has gone by: each part of long work is behind a turn of the event loop. */
function slowly(): void {
  let now = performance.now();
  vi.spyOn(performance, "now").mockImplementation(() => (now += 1000));
}

const MANY = 2 ** 20 + 3;
const aborted = { name: "AbortError" };

/** So many documents of "a" and "b". */
function many(): Corpus {
  const ids = new Uint8Array(MANY).map((_, i) => (i * i) % 2);
  return new Corpus({ ids, chars: ["a", "b"] }, identity(MANY + 1), "lines");
}

/** Aborted once so much of something is done. */
function stopAt(what: PrepareEvent["what"], part: number) {
  const events: PrepareEvent[] = [];
  const stop = new AbortController();
  const progress = (event: PrepareEvent) => {
    if (event.what !== what) return;
    events.push(event);
    if (event.done >= part * event.total) setImmediate(() => stop.abort()); // as a signal, in a turn
  };
  return { events, progress, signal: stop.signal };
}

describe("a shuffle", () => {
  test("in parts is Python's, and told from the first document to the last", async () => {
    const [order, wanted] = [identity(MANY), identity(MANY)];
    const events: PrepareEvent[] = [];
    const random = new PythonRandom(42);
    await shuffleDocuments(order, random, { progress: (event) => events.push(event) });
    const other = new PythonRandom(42);
    // As CPython's Lib/random.py has it: from the last one down, each with one of those before it or itself.
    const below = Reflect.get(other, "below") as (n: number) => number;
    for (let i = MANY - 1; i > 0; i--) {
      const j = below.call(other, i + 1);
      [wanted[i], wanted[j]] = [wanted[j], wanted[i]];
    }
    expect(Buffer.compare(Buffer.from(order.buffer), Buffer.from(wanted.buffer))).toBe(0);
    expect(random.random()).toBe(other.random());
    expect(events[0]).toEqual({ type: "prepare", what: "shuffle", done: 0, total: MANY });
    expect(events.at(-1)!.done).toBe(MANY);
    expect(events.length).toBeGreaterThan(10);
  });

  test("is given up where the signal comes, and by a run that is about to begin", async () => {
    slowly();
    const { events, progress, signal } = stopAt("shuffle", 0.3);
    const work = shuffleDocuments(identity(MANY), new PythonRandom(1), { progress, signal });
    await expect(work).rejects.toMatchObject(aborted);
    expect(events.at(-1)!.done).toBeLessThan(MANY / 2);

    const { events: told, ...run } = stopAt("shuffle", 0);
    const options = {
      config: resolveConfig("microgpt"),
      documents: many(),
      device: "cpu",
    } as const;
    const { progress: tell, signal: stop } = run;
    const training = Training.open({
      ...options,
      progress: tell,
      tuning: { mode: "off", signal: stop },
    });
    await expect(training).rejects.toMatchObject(aborted);
    expect(told.at(-1)!.done).toBeLessThan(MANY);
  });

  test("of few documents is not told", async () => {
    const progress = vi.fn<() => void>();
    await shuffleDocuments(identity(1000), new PythonRandom(1), { progress });
    expect(progress).not.toHaveBeenCalled();
  });
});

describe("a fingerprint", () => {
  test("is given up between two windows of tokens, of documents as of a stream", async () => {
    slowly();
    const documents = many();
    const stream = new Corpus({ ids: documents.ids, chars: ["a", "b"] }, documents.starts, "text");
    for (const corpus of [documents, stream]) {
      const stop = new AbortController();
      let last = 0;
      const tell = (done: number, total: number) => {
        last = done / total;
        if (last > 0.3) setImmediate(() => stop.abort());
      };
      const work = fingerprint(corpus.tokens(4, undefined, presets.microgpt), corpus.tokenizer, {
        tell,
        signal: stop.signal,
      });
      await expect(work).rejects.toMatchObject(aborted);
      expect(last).toBeLessThan(0.6);
    }
  });

  test("of a run can be asked for again after it was given up", async () => {
    const config = resolveConfig("microgpt", { num_steps: 1 });
    const training = await Training.open({ config, documents: ["anna", "bob"], device: "cpu" });
    await expect(training.checkpoint(AbortSignal.abort())).rejects.toMatchObject(aborted);
    expect((await training.checkpoint()).text).toMatch(/^[0-9a-f]{64}$/);
    training.close();
  });
});

test("documents count, pack and split as arrays of their sequences do, in any order and part", () => {
  const texts = Array.from({ length: 57 }, (_, i) => "abc".repeat(i % 5).slice(i % 3) + "a");
  const corpus = corpusOf(texts, "lines");
  const order = identity(57);
  new PythonRandom(3).shuffle(order);
  const config = { ...resolveConfig("microgpt", { block_size: 6 }), format: "lines" } as const;
  const all = corpus.tokens(6, order, presets.microgpt);
  if (!("inOrder" in all)) throw new Error("These are documents.");
  const parts = [all, all.slice(0, 40), all.slice(50), all.slice(0, 0), all.inOrder(order)];
  for (const documents of parts) {
    const plain: Sequences = Array.from({ length: documents.length }, (_, d) => documents.at(d)!);
    const tokens = [...(plain as Int32Array[])].reduce((sum, { length }) => sum + length, 0);
    expect(countTokens(documents)).toBe(tokens);
    expect(countPositions(documents)).toBe(tokens - documents.length);
    expect(countPositions(plain)).toBe(tokens - documents.length);
    expect(packedTokens(documents)).toBe(tokens);
    expect(packDocuments(documents)).toEqual(packDocuments(plain));
    if (documents.length === 0) continue;
    const { train: _, ...split } = splitTokens({ ...config, val_fraction: 0.3 }, documents);
    const { train: _train, ...wanted } = splitTokens({ ...config, val_fraction: 0.3 }, plain);
    expect(split).toEqual(wanted);
  }
});
