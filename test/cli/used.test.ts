// What is written for nothing is refused, and what was most likely meant is said: tokenizers that are none, flags without
// an effect.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { main as info } from "../../cli/info.ts";
import { main as sweep } from "../../cli/sweep.ts";
import { main as tokenize } from "../../cli/tokenize.ts";
import { main as train } from "../../cli/train.ts";
import { runCli, temporaryFolder } from "./fake_io.ts";

const takes = "--tokenizer takes char, word, bpe, auto, a tokenizer.json or the folder of a model.";

test.each([
  ["id,text\n1,one\n", /^error: \S+ is no tokenizer: it is not usable JSON \(.*\)\. --tok/],
  ["", /^error: \S+ is no tokenizer: it is empty\. --tok/],
  [`{"model": {`, /^error: \S+ is no tokenizer: it is not usable JSON \(.*\)\. --tok/],
])("a file that is no tokenizer is called so, in one line: %j", async (content, sentence) => {
  const path = join(temporaryFolder(), "t.json");
  writeFileSync(path, content);
  const { code, stderr } = await runCli(info, ["--tokenizer", path]);
  expect(code).toBe(1);
  expect(stderr).toMatch(sentence);
  expect(stderr).not.toContain("model is damaged");
  expect(stderr.split("\n")).toHaveLength(2);
  expect(stderr).toContain(takes);
});

test("a tokenizer's name that is misspelled", async () => {
  const { stderr } = await runCli(info, ["--tokenizer", "wrod"]);
  expect(stderr).toContain(`there is no such file or folder (ENOENT). ${takes} Did you mean word?`);
  const far = await runCli(info, ["--tokenizer", "models/mine.json"]);
  expect(far.stderr).not.toContain("Did you mean");
});

const pattern = (tokenizer: string) =>
  `--bpe-pattern is gpt4, but with --tokenizer ${tokenizer} there is none; leave it out, or choose --tokenizer bpe.`;

test.each([
  [train, ["--tokenizer", "char", "--bpe-pattern", "gpt4"], pattern("char")],
  [info, ["--tokenizer", "word", "--bpe-pattern", "gpt4"], pattern("word")],
  [sweep, ["--tokenizer", "char", "--bpe-pattern", "gpt4"], pattern("char")],
  [
    tokenize,
    ["--train", "x", "--stats", "--tokenizer", "char", "--bpe-pattern", "gpt4"],
    pattern("char"),
  ],
  [train, ["--bpe-pattern", "gpt4"], pattern("char")],
  [train, ["--bpe-pattern", "gpt2"], pattern("char").replace("gpt4", "gpt2")],
  [train, ["--separator", ""], "--separator is empty; give it a value, or leave it out."],
  [sweep, ["--separator", ""], "--separator is empty; give it a value, or leave it out."],
  [info, ["--field", ""], "--field is empty; give it a value, or leave it out."],
] as const)("%#: a flag without an effect", async (main, argv, sentence) => {
  const { code, stderr } = await runCli(main, argv);
  expect(code).toBe(2);
  expect(stderr).toBe(`error: ${sentence}\n`);
});

test("what a file or the environment says for all runs is let be", async () => {
  const path = join(temporaryFolder(), "settings.json");
  writeFileSync(path, JSON.stringify({ bpe_pattern: "gpt4", separator: "", tokenizer: "char" }));
  expect((await runCli(info, ["--config", path])).stderr).toBe("");
  expect(
    (await runCli(info, ["--preset", "microgpt"], { MICROGPT_BPE_PATTERN: "gpt4" })).stderr,
  ).toBe("");
});
