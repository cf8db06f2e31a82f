// Texts while a model trains: when they come, that they change nothing, and what they begin with.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { main as generate } from "../../cli/generate.ts";
import { main as train } from "../../cli/train.ts";
import { type Config, resolveConfig } from "../../src/config.ts";
import { type LookEvent, Training } from "../../src/training/train.ts";
import { parseLines, runCli, temporaryFolder } from "./fake_io.ts";

const lines = ["anna", "bob", "carla", "dave", "emma", "frederic", "gus", "hannah"];
const quick = [
  "--device",
  "cpu",
  "--steps",
  "7",
  "--num-samples",
  "2",
  "--n-embd",
  "4",
  "--n-head",
  "1",
];

async function run(device: "cpu" | "webgpu", overrides: Partial<Config>, prompt?: string) {
  const config = resolveConfig("microgpt", { num_steps: 12, ...overrides });
  const training = await Training.open({ config, documents: lines, device, prompt });
  const losses: number[] = [];
  const looks: LookEvent[] = [];
  for await (const event of training.run()) {
    if (event.type === "step") losses.push(event.loss);
    if (event.type === "look") looks.push(event);
  }
  const samples: string[] = [];
  for await (const { text } of training.samples()) samples.push(text);
  const { values } = await training.model();
  training.close();
  return { losses, values, samples, looks };
}

test.each(["cpu", "webgpu"] as const)("looks change nothing of a run: %s", async (device) => {
  const { looks: none, ...plain } = await run(device, {});
  const { looks, ...looked } = await run(device, { sample_every: 5 });
  expect(none).toEqual([]);
  expect(looked).toEqual(plain);
  // Five at most, and after the last step there are the run's own samples.
  expect(looks.map(({ step, index }) => [step, index])).toEqual(
    [5, 10].flatMap((step) => [1, 2, 3, 4, 5].map((index) => [step, index])),
  );
  const { looks: few } = await run(device, { sample_every: 6, num_samples: 1 });
  expect(few.map(({ step }) => step)).toEqual([6]);
});

test("a run's texts begin with its prompt", async () => {
  const { looks, samples } = await run("cpu", { sample_every: 5, num_samples: 3 }, "an");
  for (const text of [...samples, ...looks.map(({ text }) => text)]) expect(text).toMatch(/^an/);
  await expect(run("cpu", {}, "xyz")).rejects.toThrow(/no token for "x"/);
});

test("a look is a line in the terminal and an object in JSON", async () => {
  const argv = [...quick, "--sample-every", "3", "--output"];
  const { stdout } = await runCli(train, [...argv, temporaryFolder(), "--prompt", "ma"]);
  expect(stdout.match(/^(step \d {2})?sample +\d: ma/gm)).toEqual([
    "step 3  sample 1: ma",
    "step 3  sample 2: ma",
    "step 6  sample 1: ma",
    "step 6  sample 2: ma",
    "sample  1: ma",
    "sample  2: ma",
  ]);
  const json = parseLines((await runCli(train, [...argv, temporaryFolder(), "--json"])).stdout);
  expect(json.map(({ type, step }) => [type, step]).slice(1, 4)).toEqual([
    ["step", 3],
    ["look", 3],
    ["look", 3],
  ]);
  const keys = Object.keys(json.find(({ type }) => type === "look")!);
  expect(keys).toEqual(["type", "step", "index", "text"]);
});

test("a prompt comes from a file, in training and afterwards", async () => {
  const folder = temporaryFolder();
  const [path, output] = [join(folder, "prompt.txt"), join(folder, "output")];
  const text = join(folder, "text.txt");
  writeFileSync(text, "one\ntwo\nthree\nfour\n".repeat(20));
  writeFileSync(path, "\uFEFFone\r\ntwo\r\n"); // as an editor on Windows writes it
  const argv = [...quick, "--input", text, "--format", "text", "--json", "--prompt-file", path];
  const trained = await runCli(train, [...argv, "--output", output]);
  const samples = parseLines(trained.stdout).filter(({ type }) => type === "sample");
  for (const { text } of samples) expect(text).toMatch(/^one\ntwo/);
  expect(samples).toHaveLength(2);
  const write = ["--model-dir", output, "--device", "cpu", "--json"];
  const written = await runCli(generate, [...write, "--prompt-file", path]);
  for (const { text } of parseLines(written.stdout)) expect(text).toMatch(/^one\ntwo/);
  const same = await runCli(generate, write, { MICROGPT_PROMPT_FILE: path });
  expect(same).toEqual(written);
  // A flag wins over the variable of the other.
  const other = await runCli(generate, [...write, "--prompt", "four"], {
    MICROGPT_PROMPT_FILE: path,
  });
  expect(parseLines(other.stdout)[0].text).toMatch(/^four/);
  const file = await runCli(generate, [...write, "--prompt-file", path], {
    MICROGPT_PROMPT: "four",
  });
  expect(file).toEqual(written);
});

test("a prompt that cannot be is a sentence, and leaves no folder", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "prompt.txt");
  const output = join(folder, "output");
  const argv = [...quick, "--output", output];
  const cases: [bytes: string | Uint8Array | null, code: number, words: RegExp][] = [
    [
      null,
      2,
      /cannot be read: there is no such file or folder \(ENOENT\)\. --prompt-file takes a text file/,
    ],
    ["", 2, /is empty/],
    ["\n", 2, /is empty/],
    [Uint8Array.of(0x25, 0x50, 0x44, 0x46, 0xff, 0xfe, 0), 1, /a PDF file/],
    ["a".repeat(2 ** 20 + 1), 2, /has 1,048,577 bytes, and at most 1,048,576 are taken/],
    ["Ωmega", 1, /no token for "Ω" \(U\+03A9, character 1/],
  ];
  for (const [bytes, code, words] of cases) {
    if (bytes !== null) writeFileSync(path, bytes);
    const failed = await runCli(train, [...argv, "--prompt-file", path]);
    expect(failed).toMatchObject({ code, stdout: "" });
    expect(failed.stderr).toMatch(words);
    expect(failed.stderr).toMatch(/^error: .*\n$/);
  }
  const both = await runCli(train, [...argv, "--prompt-file", path, "--prompt", "a"]);
  expect(both.stderr).toMatch(
    /^error: --prompt and --prompt-file both say what a text begins with/,
  );
  mkdirSync(join(folder, "as-folder"));
  const isFolder = await runCli(train, [...argv, "--prompt-file", join(folder, "as-folder")]);
  expect(isFolder.stderr).toContain("it is a folder (EISDIR)");
  expect(() => readFileSync(join(output, "model.safetensors"))).toThrow(/ENOENT/);
});
