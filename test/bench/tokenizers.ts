// How fast BPE is learnt and encoded, and how long the event loop waits meanwhile.
//
//   node test/bench/tokenizers.ts --text book.txt --vocab-size 4096
//
// The texts beside it are made here: a million characters without a space, of which most tokenizers choke.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { PretokenCounts } from "../../src/tokenizer/count_pretokens.ts";
import { trainBpe } from "../../src/tokenizer/bpe_train.ts";
import type { BpePattern } from "../../src/tokenizer/pretokens.ts";
import { table } from "./contest.ts";

const { values } = parseArgs({
  options: {
    text: { type: "string" },
    "vocab-size": { type: "string", default: "4096" },
    pattern: { type: "string", default: "gpt2" },
  },
});
const MILLION = 1_000_000;

interface Timed<T> {
  value: T;
  /** Of the clock, and of all of the process's threads. */
  seconds: number;
  cpu: number;
  /** Milliseconds of its longest part. */
  longest: number;
}

function timed<T>(work: Generator<void, T>): Timed<T> {
  const start = performance.now();
  const cpu = process.cpuUsage();
  let longest = 0;
  for (;;) {
    const since = performance.now();
    const { done, value } = work.next();
    longest = Math.max(longest, performance.now() - since);
    if (!done) continue;
    const { user, system } = process.cpuUsage(cpu);
    return {
      value,
      seconds: (performance.now() - start) / 1000,
      cpu: (user + system) / 1e6,
      longest,
    };
  }
}

function* count(text: string, pattern: BpePattern): Generator<void, PretokenCounts> {
  const counts = new PretokenCounts(pattern);
  for (let at = 0; at < text.length; at += 2 ** 16) {
    counts.push(text.slice(at, at + 2 ** 16));
    yield;
  }
  return counts.end();
}

/** The same characters in every run. */
function made(length: number, char: (random: number) => string): string {
  let state = 1;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return char(state / 2 ** 32);
  }).join("");
}

if (values.text === undefined) throw new Error("--text FILE is needed: what to learn from.");
const pattern = values.pattern as BpePattern;
const text = readFileSync(values.text, "utf8");
const base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const rows: string[][] = [];
function row(what: string, bytes: number, { seconds, cpu, longest }: Timed<unknown>): void {
  const speed = (bytes / 1e6 / seconds).toFixed(1);
  rows.push([what, seconds.toFixed(2), cpu.toFixed(2), speed, longest.toFixed(0)]);
}

const size = Buffer.byteLength(text);
const counted = timed(count(text, pattern));
row("count pre-tokens", size, counted);
const learnt = timed(trainBpe(counted.value, { vocab_size: Number(values["vocab-size"]) }));
row(`learn ${learnt.value.vocab_size} tokens`, size, learnt);
const tokenizer = learnt.value;
const texts: [string, string][] = [
  ["encode it", text],
  ["encode it again", text],
  ["encode x, a million times", "x".repeat(MILLION)],
  ["encode a million letters", made(MILLION, (r) => String.fromCharCode(97 + Math.floor(r * 26)))],
  ["encode a million of base64", made(MILLION, (r) => base64[Math.floor(r * 64)])],
  ["encode 1 MB of Chinese", made(MILLION / 3, (r) => String.fromCharCode(0x4e00 + r * 5000))],
];
for (const [what, sample] of texts) {
  const encoded = timed(tokenizer.encoding(sample));
  row(what, Buffer.byteLength(sample), encoded);
  if (tokenizer.decode(encoded.value) !== sample) throw new Error(`${what}: it does not come back`);
}
const head = ["what", "s", "s of CPU", "MB/s", "longest part, ms"];
console.log(table([head, head.map(() => "---"), ...rows]));
