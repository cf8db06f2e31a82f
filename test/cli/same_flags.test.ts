// The same command line with --resume goes on, whatever of its settings text and device have decided.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { dataSets } from "../../cli/sources/data_sets.ts";
import { main as train } from "../../cli/train.ts";
import { jsonLines } from "../harness/conversations.ts";
import { FakeIo, parseLines, runCli, temporaryFolder } from "./fake_io.ts";

const shape = ["--n-layer", "1", "--n-embd", "8", "--n-head", "2", "--block-size", "8"];
const always = ["--device", "cpu", "--steps", "4", "--num-samples", "0", "--json"];
const verse = "so much depends\nupon\na red wheel\nbarrow\n".repeat(20);
const records = [1, 2, 3, 4, 5].map((n) => `{"text": "record ${n} of five"}\n`).join("");
const chat = ["--block-size", "64"];
const tiny = ["--size", "tiny", "--warmup-steps", "0"];
const auto = ["--batch-size", "auto"];

/** Each with what the flags leave to be decided, and what that has become. */
const cases: [flags: string[], text: string, decided: object][] = [
  [[], verse, { format: "lines", val_fraction: 0, tokenizer: "char" }],
  [["--format", "text", "--val-fraction", "auto"], verse, { val_fraction: 0.1 }],
  [["--format", "text", "--eval-every", "2"], verse, { val_fraction: 0.1 }],
  [["--val-fraction", "auto"], verse, { val_fraction: 0 }],
  [["--dtype", "auto"], verse, { dtype: "f32" }],
  [auto, verse, { batch_size: 1, grad_accumulation: 1 }],
  [[...auto, "--grad-accumulation", "3"], verse, { batch_size: 3, grad_accumulation: 1 }],
  [["--preset", "small", ...auto], verse, { batch_size: 8, grad_accumulation: 1 }],
  [["--preset", "small", ...auto, "--grad-accumulation", "2"], verse, { batch_size: 16 }],
  [[...tiny, ...auto, "--grad-accumulation", "2"], verse, { batch_size: 64 }],
  [[...tiny, "--tokenizer", "auto", "--dtype", "auto"], verse, { tokenizer: "char" }],
  [[...tiny, "--vocab-size", "270"], verse, { tokenizer: "bpe", vocab_size: 270 }],
  [["--tokenizer", "bpe", "--vocab-size", "2000"], verse, { tokenizer: "bpe", vocab_size: 285 }],
  [["--tokenizer", "word", "--vocab-size", "500"], verse, { tokenizer: "word", vocab_size: 10 }],
  [[...tiny, "--vocab-size", "2000"], verse, { tokenizer: "bpe", vocab_size: 285 }],
  [["--tokenizer", "bpe"], verse, { tokenizer: "bpe", vocab_size: 285 }],
  [["--format", "jsonl"], records, { format: "jsonl" }],
  [["--format", "jsonl", ...chat], jsonLines, { format: "chat" }],
  [
    ["--format", "jsonl", "--loss-on", "all", "--skip-long", ...chat],
    jsonLines,
    { format: "chat" },
  ],
  [["--chat", ...chat], jsonLines, { format: "chat" }],
  [["--format", "auto", ...chat], jsonLines, { format: "chat" }],
  [["--format", "paragraphs", "--separator", "\\n"], verse, { format: "paragraphs" }],
  [["--separator", "\\n"], verse, { format: "paragraphs" }],
];

/** A run that is stopped in its second step, and then goes on by the same flags. */
async function twice(flags: readonly string[]) {
  const argv = [...always, "--log-every", "1", ...flags, "--output", temporaryFolder()];
  const io = new FakeIo();
  io.stdout.onWrite = (text) => {
    if (text.includes('"type":"step","step":2,')) io.emit("SIGINT");
  };
  const first = await runCli(train, argv, {}, io);
  expect(first).toMatchObject({ code: 130, stderr: expect.stringContaining("Stopping") });
  const second = await runCli(train, [...argv, "--resume"]);
  expect(second).toMatchObject({ code: 0, stderr: "" });
  return [first, second].map(({ stdout }) => parseLines(stdout));
}

test.each(cases)("%j", async (flags, text, decided) => {
  const input = join(temporaryFolder(), "text.txt");
  writeFileSync(input, text);
  const [first, second] = await twice([...shape, ...flags, "--input", input]);
  expect(first[0].config).toMatchObject(decided);
  expect(second[0]).toMatchObject({ resumed_from: 2, differences: [], config: first[0].config });
  expect(second.at(-1)).toMatchObject({ type: "end", steps: 4 });
});

test("a folder of files", async () => {
  const input = temporaryFolder();
  mkdirSync(join(input, "more"));
  for (const name of ["one.txt", "two.md", "more/three.txt"])
    writeFileSync(join(input, name), verse);
  const [, second] = await twice([...shape, "--input", input]);
  expect(second[0]).toMatchObject({ resumed_from: 2, differences: [] });
});

test("a data set whose documents have something of their own between them", async () => {
  const { tinystories } = dataSets;
  const { url } = tinystories;
  onTestFinished(() => void Object.assign(tinystories, { url }));
  const path = join(temporaryFolder(), "stories.txt");
  writeFileSync(path, "Once.\n\nTwice.\n<|endoftext|>\nThe end.\n".repeat(9));
  Object.assign(tinystories, { url: pathToFileURL(path).href });
  for (const flags of [[], ["--format", "paragraphs"]]) {
    const [first, second] = await twice([...shape, ...flags, "--input", "tinystories"]);
    expect(first[0]).toMatchObject({ num_docs: 10, config: { format: "paragraphs" } });
    expect(second[0]).toMatchObject({ resumed_from: 2, num_docs: 10, differences: [] });
  }
});
