// A chat from the command line: --chat, what is left out, the template beside the model, and what is refused.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { main as generate } from "../../cli/generate.ts";
import { main as sweep } from "../../cli/sweep.ts";
import { main as train } from "../../cli/train.ts";
import { decodeSafetensors } from "../../src/files/safetensors.ts";
import { CharTokenizer } from "../../src/tokenizer/char.ts";
import { jsonLines } from "../harness/conversations.ts";
import { parseLines, runCli, temporaryFolder } from "./fake_io.ts";

test("a model of conversations answers in their format", async () => {
  const folder = temporaryFolder();
  const [input, output] = [join(folder, "chat.jsonl"), join(folder, "model")];
  writeFileSync(input, jsonLines);
  const shape = ["--n-embd", "16", "--block-size", "40", "--batch-size", "8", "--lr", "0.03"];
  const argv = ["--chat", "--input", input, "--output", output, "--device", "cpu", ...shape];
  const run = await runCli(train, [...argv, "--steps", "90", "--num-samples", "2"]);
  expect(run.code).toBe(0);
  const form =
    /sample {2}\d: <\|user\|>my \w+ \w+<\|end_turn\|><\|assistant\|>[^<]+<\|end_turn\|>/g;
  expect(run.stdout.match(form)).toHaveLength(2);

  const template = readFileSync(join(output, "chat_template.jinja"), "utf8");
  const { metadata } = decodeSafetensors(readFileSync(join(output, "model.safetensors")), "");
  expect(metadata.chat_template).toBe(template);

  const asked = [
    "--model-dir",
    output,
    "--device",
    "cpu",
    "--num-samples",
    "1",
    "--temperature",
    "0",
  ];
  const answer = await runCli(generate, [...asked, "--prompt", "my red cat"]);
  expect(answer.stdout).toMatch(
    /^sample {2}1: <\|user\|>my red cat<\|end_turn\|><\|assistant\|>the \w+ is \w+<\|end_turn\|>\n$/,
  );
  const silent = await runCli(generate, asked);
  expect(silent.stderr).toContain("without a prompt it answers a user who says nothing");

  const names = ["--output", output, "--steps", "1", "--num-samples", "0", "--device", "cpu"];
  expect((await runCli(train, names)).code).toBe(0);
  expect(existsSync(join(output, "chat_template.jinja"))).toBe(false);
  expect(existsSync(join(output, "earlier-1", "chat_template.jinja"))).toBe(true);
});

test("what is cut or left out is counted", async () => {
  const folder = temporaryFolder();
  const [input, output] = [join(folder, "chat.jsonl"), join(folder, "model")];
  writeFileSync(input, jsonLines);
  const argv = ["--chat", "--input", input, "--output", output, "--device", "cpu", "--steps", "1"];
  const cut = await runCli(train, [...argv, "--block-size", "34", "--num-samples", "0"]);
  expect(cut.stdout).toMatch(/^skipped the last turns of \d+ conversations, beyond the context$/m);
  const skip = [...argv, "--skip-long", "--block-size", "34", "--num-samples", "0", "--overwrite"];
  expect((await runCli(train, skip)).stdout).toMatch(
    /^skipped \d+ conversations longer than the context$/m,
  );
  const none = await runCli(train, [...argv, "--block-size", "4", "--overwrite"]);
  expect(none.stderr).toBe(
    "error: Of 200 conversations none has an answer within the context of 4 tokens; choose a larger block_size.\n",
  );
});

test("a run with a tokenizer of a file goes on with it, given again or not, and with no other", async () => {
  const folder = temporaryFolder();
  const [input, output] = [join(folder, "chat.jsonl"), join(folder, "model")];
  writeFileSync(input, jsonLines);
  const files = ["one.json", "other.json"].map((name) => join(folder, name));
  const chars = [..." ?abcdefghijklmnopqrstuvwxyz"];
  writeFileSync(files[0], JSON.stringify(new CharTokenizer(chars)));
  writeFileSync(files[1], JSON.stringify(new CharTokenizer([...chars, "{"])));
  const own = ["--output", output, "--num-samples", "0", "--tokenizer"];
  const argv = ["--chat", "--input", input, "--device", "cpu", "--block-size", "40"];
  expect((await runCli(train, [...argv, "--steps", "1", ...own, files[0]])).code).toBe(0);
  const again = ["--resume", ...own];
  expect((await runCli(train, [...again, files[0], "--steps", "2"])).code).toBe(0);
  expect((await runCli(train, [...again.slice(0, -1), "--steps", "3"])).code).toBe(0);
  const other = await runCli(train, [...again, files[1], "--steps", "4"]);
  expect(other.code).toBe(2);
  expect(other.stderr).toContain("The tokenizer is not the one of the run to resume");
});

test("a sweep validates all its models with the same conversations, those that are used", async () => {
  const folder = temporaryFolder();
  const input = join(folder, "chat.jsonl");
  writeFileSync(input, jsonLines);
  const argv = ["--chat", "--input", input, "--steps", "2", "--device", "cpu", "--skip-long"];
  const own = ["--val-fraction", "0.1", "--output", join(folder, "best"), "--json"];
  const still = ["--block-size", "34", "--lr", "0", "--init-std", "0", "--seed", "1,2"];
  const { stdout, code } = await runCli(sweep, [...argv, ...still, ...own]);
  expect(code).toBe(0);
  const models = parseLines(stdout).filter(({ type }) => type === "model");
  // Of even guesses of the same bytes, whatever the seed.
  expect(models.map(({ bits_per_byte }) => bits_per_byte)).toHaveLength(2);
  expect(models[0].bits_per_byte).toBeCloseTo(models[1].bits_per_byte, 10);
  const varied = await runCli(sweep, [...argv, "--block-size", "34,40", ...own]);
  expect(varied.stderr).toContain(
    "learn the same conversations, and these have a block_size of 34",
  );
});

test.each([
  [["--chat", "--format", "lines"], "--format lines and --chat both say how the text is read"],
  [["--format", "lines", "--loss-on", "all"], "--loss-on is all, but it is about conversations"],
  [["--format", "lines", "--skip-long"], "--skip-long is true, but it is about conversations"],
  [["--loss-on", "all"], "--loss-on is all, but it is about conversations"],
  [
    ["--format", "lines", "--val-split", "blocks", "--val-fraction", "0.1"],
    "--val-split is blocks, but with",
  ],
])("%j is refused for names", async (argv, sentence) => {
  const { code, stderr } = await runCli(train, ["--output", temporaryFolder(), ...argv]);
  expect(code).toBe(2);
  expect(stderr).toContain(sentence);
});
