// `info`: what a model folder holds, for people and for programs.

import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { main as info } from "../../cli/info.ts";
import { saveModel } from "../../src/files/model_dir.node.ts";
import { type Config, resolveConfig } from "../../src/config.ts";
import { settings } from "../../src/config/settings.ts";
import { dimsOf, initialParameters, ParameterLayout } from "../../src/model/parameters.ts";
import { PythonRandom } from "../../src/random.ts";
import { CharTokenizer } from "../../src/tokenizer/char.ts";
import { FakeIo, parseLines, runCli, temporaryFolder } from "./fake_io.ts";

function modelFolder(overrides: Partial<Config>, text = "abc"): string {
  const config = resolveConfig("microgpt", overrides);
  const tokenizer = CharTokenizer.fromDocuments([text]);
  const dims = dimsOf(config, tokenizer.vocab_size);
  const values = initialParameters(config, dims, new PythonRandom(1));
  const folder = temporaryFolder();
  saveModel(folder, { config, tokenizer, step: 1234, layout: new ParameterLayout(dims), values });
  return folder;
}

test("shows files, steps, tokenizer, settings and tensors, the layers after the first as one row", async () => {
  const folder = modelFolder({ n_layer: 12 });
  const { code, stdout } = await runCli(info, ["--model-dir", folder]);
  expect(code).toBe(0);
  const size = statSync(join(folder, "model.safetensors")).size.toLocaleString("en-US");
  expect(stdout).toContain(
    `model      ${folder}: model.safetensors (${size} bytes), config.json (`,
  );
  expect(stdout).toContain("trained    1,234 steps\n");
  expect(stdout).toContain(`tokenizer  char, 4 tokens: BOS and "abc"\n`);
  expect(stdout).toMatch(/^ {2}n_layer +12 +transformer blocks$/m);
  for (const { name } of settings)
    expect(stdout).toMatch(new RegExp(`^ {2}${name} {2,}\\S+ {2,}\\S`, "m"));
  expect(stdout).toMatch(/^wte +\(4, 16\) +64$/m);
  expect(stdout).toMatch(/^layer0\.mlp_fc1 +\(64, 16\) +1,024$/m);
  expect(stdout).toMatch(/^layer1\.\.11 +each as layer0 +33,792$/m);
  expect(stdout).toMatch(/^all +75 tensors +37,248$/m);
  expect(stdout).not.toMatch(/^layer1\.attn|^layer1[01]\./m);
});

test("shows a hundred characters of a large vocabulary", async () => {
  const text = String.fromCodePoint(...Array.from({ length: 500 }, (_, i) => 0x4e00 + i));
  const { stdout } = await runCli(info, ["--model-dir", modelFolder({}, text)]);
  expect(stdout).toMatch(/501 tokens: BOS and ".{100}" and 400 more\n/u);
});

test("--json is one object with every tensor and the bytes of the files that are there", async () => {
  const folder = modelFolder({ n_layer: 2 });
  rmSync(join(folder, "config.json"));
  const { stdout } = await runCli(info, ["--model-dir", folder, "--json"]);
  const objects = parseLines(stdout);
  expect(objects).toHaveLength(1);
  expect(objects[0]).toMatchObject({
    model_dir: folder,
    files: { "model.safetensors": statSync(join(folder, "model.safetensors")).size },
    step: 1234,
    num_params: 6528,
    vocab_size: 4,
    tokenizer: { type: "char", chars: ["a", "b", "c"] },
    config: resolveConfig("microgpt", { n_layer: 2 }),
  });
  expect(objects[0].files).not.toHaveProperty("config.json");
  expect(objects[0].tensors).toHaveLength(15);
  expect(objects[0].tensors[0]).toEqual({ name: "wte", shape: [4, 16], count: 64 });
});

test("a folder without a model is a sentence and exit code 1", async () => {
  const { code, stderr } = await runCli(info, ["--model-dir", temporaryFolder()]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^error: .* holds no model: .*\.\n$/);
});

test("a saved model comes with what training and writing with it need", async () => {
  const folder = modelFolder({ batch_size: 8 });
  const { stdout } = await runCli(info, ["--model-dir", folder]);
  expect(stdout).toMatch(
    /^training   with a batch of 8: \S+ KiB of GPU memory and \S+ KiB of main memory; on the CPU /m,
  );
  expect(stdout).toMatch(/^ +\S+ floating-point operations a token$/m);
  expect(stdout).toMatch(/^writing    \S+ KiB of GPU memory/m);
  const json = await runCli(info, ["--model-dir", folder, "--json"]);
  expect(parseLines(json.stdout)[0].needs.training.device_bytes).toBeGreaterThan(1e5);
});

test("settings instead of a folder tell what a run with them would need", async () => {
  const { code, stdout } = await runCli(info, ["--n-layer", "6", "--n-embd", "384"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^data +names\.txt: 1,936 documents, 27 tokens in the vocabulary\nmodel +10,643,712 parameters\n/,
  );
  expect(stdout).toMatch(/^ {2}n_layer +6 /m);

  const io = new FakeIo();
  io.stdin = (async function* () {
    yield new TextEncoder().encode("abcd\n");
  })();
  const json = await runCli(
    info,
    ["--input", "-", "--json"],
    { MICROGPT_N_LAYER: "2", MICROGPT_MODEL_DIR: "elsewhere" },
    io,
  );
  const [run] = parseLines(json.stdout);
  expect(run).toMatchObject({ vocab_size: 5, num_params: 6560, config: { n_layer: 2 } });
  expect(run.generation.device_bytes).toBeLessThan(run.training.device_bytes);
});

test("what a run on one text would need is that of the general trainer, and of its validations", async () => {
  const needs = async (...argv: string[]) => {
    const { stdout } = await runCli(info, [...argv, "--json"]);
    return parseLines(stdout)[0].training.device_bytes as number;
  };
  const text = await runCli(info, ["--format", "text"]);
  expect(text.stdout).toMatch(
    /^data +names\.txt: one text of 12,659 tokens, 28 tokens in the voc/m,
  );
  const [lines, stream] = [
    await needs("--steps", "9"),
    await needs("--format", "text", "--val-fraction", "0"),
  ];
  expect(stream).not.toBe(lines);
  for (const format of ["lines", "text"]) {
    const validated = await needs("--format", format, "--val-fraction", "0.1");
    expect(validated).toBeGreaterThan(format === "text" ? stream : lines);
  }
});

test("settings and a folder at once are a sentence", async () => {
  const { code, stderr } = await runCli(info, ["--lr", "0.1", "--model-dir", "output"]);
  expect(code).toBe(2);
  expect(stderr).toBe(
    "error: --lr is about a run to come and --model-dir about a model that is there; leave one of them out.\n",
  );
});
