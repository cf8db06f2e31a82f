// A chat from the command line: --chat, what is left out, the template beside the model, and what is refused.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { main as generate } from "../../cli/generate.ts";
import { main as train } from "../../cli/train.ts";
import { decodeSafetensors } from "../../src/files/safetensors.ts";
import { jsonLines } from "../harness/conversations.ts";
import { runCli, temporaryFolder } from "./fake_io.ts";

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
