// export --format torch and html: what is written, and what is refused with a sentence.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { main as exportMain } from "../../cli/export.ts";
import { main as info } from "../../cli/info.ts";
import { main as train } from "../../cli/train.ts";
import { runCli, temporaryFolder } from "./fake_io.ts";

/** A run of three steps on a text in a folder whose name is nobody's business. */
async function trained(...flags: string[]) {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "private"));
  const text = join(folder, "private/words.txt");
  writeFileSync(text, "one\ntwo\nthree\nfour\n");
  const run = join(folder, "run");
  const argv = ["--input", text, "--output", run, "--steps", "3", "--device", "cpu", ...flags];
  const { code } = await runCli(train, [...argv, "--num-samples", "0"]);
  expect(code).toBe(0);
  return { folder, text, run };
}

test("torch is the run's folder with its tokens in their order, and a model folder still", async () => {
  const { folder, run } = await trained("--dropout", "0.1");
  const output = join(folder, "cluster");
  const argv = ["--model-dir", run, "--format", "torch", "--output", output];
  const { code, stdout, stderr } = await runCli(exportMain, argv);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("note  All its 3 steps are done: train.py takes --steps, more than");
  expect(stdout).toContain("note  Dropout is drawn by PyTorch, and not as here.");
  expect(readdirSync(output).sort()).toEqual([
    "README.md",
    "config.json",
    "data.json",
    "folder.py",
    "model.py",
    "model.safetensors",
    "tokenizer.json",
    "tokens.bin",
    "tokens.starts.bin",
    "train.py",
    "training.safetensors",
  ]);
  const { buffer } = new Uint8Array(readFileSync(join(output, "tokens.starts.bin")));
  const starts = [...new BigInt64Array(buffer)].map(Number);
  const ids = new Uint16Array(new Uint8Array(readFileSync(join(output, "tokens.bin"))).buffer);
  expect(ids).toHaveLength(starts.at(-1)!);
  // BOS is the last of the nine characters' ids and its own; documents are shuffled, each once.
  const { vocabulary, bos } = { vocabulary: "efhnortuw", bos: 9 };
  const documents = starts.slice(0, -1).map((start, d) => {
    const sequence = [...ids.subarray(start, starts[d + 1])];
    expect([sequence[0], sequence.at(-1)]).toEqual([bos, bos]);
    return sequence
      .slice(1, -1)
      .map((id) => vocabulary[id])
      .join("");
  });
  expect(documents).not.toEqual(["one", "two", "three", "four"]);
  expect(documents.sort()).toEqual(["four", "one", "three", "two"]);
  const told = await runCli(info, ["--model-dir", output, "--json"]);
  expect(JSON.parse(told.stdout)).toMatchObject({ step: 3 });
});

test("what torch has no use for, or lacks, is told", async () => {
  const { folder, run, text } = await trained();
  const output = join(folder, "cluster");
  const refused = async (...argv: string[]) => {
    const outcome = await runCli(exportMain, ["--model-dir", run, "--output", output, ...argv]);
    expect(outcome).toMatchObject({ stdout: "" });
    expect(outcome.code).toBeGreaterThan(0);
    return outcome.stderr;
  };
  const torch = ["--format", "torch"];
  expect(await refused(...torch, "--best")).toMatch(/^error: --format torch goes on with the run/);
  expect(await refused(...torch, "--half")).toMatch(
    /^error: The format torch has no weights in half/,
  );
  expect(await refused("--format", "html", "--input", text)).toBe(
    "error: --input names the text of a run for --format torch; leave it out.\n",
  );
  writeFileSync(join(folder, "other.txt"), "five\nsix\n");
  expect(await refused(...torch, "--input", join(folder, "other.txt"))).toMatch(
    /^error: The text is not the one that the run to resume was trained on, which was .*words\.txt/,
  );
  writeFileSync(text, "one\ntwo\nthree\nfive\n");
  expect(await refused(...torch)).toMatch(/^error: The text is not the one that the run to resume/);
  expect(readdirSync(folder)).not.toContain("cluster");
});

test("html is one file, which names its text without the folder where it lay", async () => {
  const { folder, run } = await trained();
  const output = join(folder, "model.html");
  const argv = ["--model-dir", run, "--format", "html", "--output", output];
  expect(await runCli(exportMain, argv)).toMatchObject({ code: 0, stderr: "" });
  const html = readFileSync(output, "utf8");
  const [, about] =
    /<script type="text\/plain" class="about-model">([A-Za-z0-9+/=]+)<\/script>/.exec(html)!;
  const held = JSON.parse(Buffer.from(about, "base64").toString());
  expect(held).toMatchObject({ trained_on: ["words.txt"], half: false });
  expect(JSON.stringify(held)).not.toContain("private");
  expect(html).not.toMatch(/<!--(model|policy|style|script)-->/);
});
