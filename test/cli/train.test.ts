// `train`: what it computes, prints and saves, and in which order.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { main as generate } from "../../cli/generate.ts";
import { loadModel } from "../../src/files/model_dir.node.ts";
import { main as train } from "../../cli/train.ts";
import { sharedDevice } from "../../src/device/choose.ts";
import golden from "../golden/microgpt-names.json" with { type: "json" };
import { FakeIo, parseLines, runCli, temporaryFolder } from "./fake_io.ts";

const quick = ["--device", "cpu", "--steps", "5", "--num-samples", "2"];

test("train --device cpu reproduces microgpt.py's losses and samples, and generate loads the model", async () => {
  const output = join(temporaryFolder(), "model");
  const argv = ["--device", "cpu", "--json", "--log-every", "1", "--output", output];
  const { code, stdout, stderr } = await runCli(train, argv);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });

  const events = parseLines(stdout);
  const steps = events.filter(({ type }) => type === "step");
  expect(steps).toHaveLength(1000);
  steps.forEach(({ step, loss }, i) => {
    expect(step).toBe(i + 1);
    expect(Math.abs(loss - golden.losses[i])).toBeLessThan(1e-9);
  });
  const samples = events.filter(({ type }) => type === "sample").map(({ text }) => text);
  expect(samples).toEqual(golden.samples);

  const { values } = loadModel(output);
  golden.params_final.forEach((value, i) => expect(values[i]).toBeCloseTo(value, 6));
  const texts = await runCli(generate, ["--model-dir", output, "--device", "cpu"]);
  expect(texts.code).toBe(0);
  expect(texts.stdout.match(/^sample +\d+: [a-z]*$/gm)).toHaveLength(20);
});

test("--json prints start, every log-every-th step, the last one, samples and end, and nothing else", async () => {
  const output = temporaryFolder();
  const argv = [...quick, "--steps", "7", "--log-every", "3", "--json", "--output", output];
  const { stdout } = await runCli(train, argv);
  const events = parseLines(stdout);
  expect(events.map(({ type }) => type).join(" ")).toBe("start step step step sample sample end");
  expect(events[0]).toMatchObject({
    device: "cpu",
    adapter: null,
    num_docs: 1936,
    vocab_size: 27,
    num_params: 4192,
    config: { num_steps: 7, seed: 42 },
  });
  expect(events.slice(1, 4).map(({ step }) => step)).toEqual([3, 6, 7]);
  for (const event of events.slice(1, 4)) {
    expect(Object.keys(event)).toEqual(["type", "step", "loss", "lr", "grad_norm", "tokens"]);
  }
  expect(events[4]).toMatchObject({ index: 1, text: expect.any(String) });
  expect(events[6]).toEqual({
    type: "end",
    steps: 7,
    seconds: expect.any(Number),
    tokens_per_s: expect.any(Number),
    val_loss: null,
    bits_per_byte: null,
    best: null,
    model_dir: output,
  });
});

const verse = "so much depends\nupon\na red wheel\nbarrow\n".repeat(8);
const validating = ["--val-fraction", "0.25", "--eval-every", "3"];

function textFile(): string {
  const path = join(temporaryFolder(), "verse.txt");
  writeFileSync(path, verse);
  return path;
}

test("--json tells each validation after its step, and the last one at the end", async () => {
  const output = temporaryFolder();
  const argv = [...quick, ...validating, "--input", textFile(), "--format", "text", "--json"];
  const { stdout } = await runCli(train, [...argv, "--output", output]);
  const events = parseLines(stdout);
  expect(events[0]).toMatchObject({
    num_docs: 1,
    num_val_docs: 0,
    num_tokens: verse.length,
    num_val_tokens: verse.length / 4,
    config: { format: "text", val_fraction: 0.25, eval_every: 3 },
  });
  const order = events.slice(1, -1).map(({ type, step }) => [type, step]);
  expect(order).toEqual([
    ["step", 3],
    ["eval", 3],
    ["step", 5],
    ["save", 5],
    ["eval", 5],
    ["sample", undefined],
    ["sample", undefined],
  ]);
  expect(Object.keys(events[2])).toEqual(["type", "step", "val_loss", "bits_per_byte", "best"]);
  expect(events.at(-1)).toMatchObject({ type: "end", val_loss: events[5].val_loss });
  expect(loadModel(output).config.format).toBe("text");
  const texts = await runCli(generate, ["--model-dir", output, "--prompt", "so", "--json"]);
  for (const { text } of parseLines(texts.stdout)) expect(text).toMatch(/^so[^]{14}$/);
});

test("people are told what is held out, and each validation on a line of its own", async () => {
  const argv = [...quick, ...validating, "--output", temporaryFolder()];
  const text = await runCli(train, [...argv, "--input", textFile(), "--format", "text"]);
  expect(text.stdout).toMatch(
    /^data {4}.*verse\.txt: one text of 320 tokens, 80 of them held out; 18 tokens in the vocabulary$/m,
  );
  const steps = text.stdout.match(/^step .*?(?=\d\.\d)/gm);
  expect(steps).toEqual([
    "step 1/5  loss ",
    "step 3/5  loss ",
    "step 3  val loss ",
    "step 5/5  loss ",
    "step 5  val loss ",
  ]);
  const lines = await runCli(train, argv);
  expect(lines.stdout).toMatch(/1,936 documents, 484 of them held out, none longer than/);
  expect(lines.stdout).toMatch(/^step 5 {2}val loss \d\.\d{4} {2}\d\.\d{4} bits\/byte {2}best$/m);

  const io = new FakeIo();
  io.stdout.isTTY = true;
  await runCli(train, argv, {}, io);
  const printed = io.stdout.text.replaceAll("\x1b[K", "");
  expect(printed).toMatch(
    /\rstep 3\/5 {2}loss .*\nstep 3 {2}val loss \d\.\d{4} {2}.* bits\/byte {2}best\n/,
  );
});

test("a text that is too short for a window, or for its parts, is a sentence", async () => {
  const argv = [...quick, "--format", "text", "--input", textFile(), "--output", temporaryFolder()];
  const short = await runCli(train, [...argv, "--block-size", "400"]);
  expect(short).toMatchObject({ code: 1, stdout: "" });
  expect(short.stderr).toMatch(
    /^error: The text has 320 tokens, and a window of it takes 401: .*\n$/,
  );
  const held = await runCli(train, [...argv, "--val-fraction", "0.03"]);
  expect(held).toMatchObject({ code: 2, stdout: "" });
  expect(held.stderr).toMatch(
    /^error: Of the text's 320 tokens a val_fraction of 0.03 holds out 10, /,
  );
});

test("without --json it prints a header, the steps, where the model is and the samples", async () => {
  const output = temporaryFolder();
  const argv = [...quick, "--steps", "250", "--block-size", "4", "--output", output];
  const { stdout } = await runCli(train, argv);
  expect(stdout).toContain("device  CPU, in float64\n");
  expect(stdout).toMatch(/names\.txt: 1,936 documents, [\d,]+ longer than the context of 4 tokens/);
  expect(stdout).toContain("4,000 parameters: 1 layer, 16 channels, 4 heads, context 4, batch 1");
  expect(stdout.match(/^step +\d+/gm)).toEqual(["step   1", "step 100", "step 200", "step 250"]);
  expect(stdout).toMatch(/saved {3}step 250 in .*\nsample {2}1: [^]*done: 250 steps in/);
});

test("a terminal gets a line that is written over, no wider than itself", async () => {
  const io = new FakeIo();
  io.stdout.isTTY = true;
  io.stdout.columns = 40;
  await runCli(train, [...quick, "--steps", "300", "--output", temporaryFolder()], {}, io);
  const lines = io.stdout.text.split("\n").filter((line) => line.includes("\r"));
  const updates = lines.flatMap((line) => line.split("\r").slice(1));
  expect(updates.at(-1)).toMatch(/^step 300\/300 {2}.*0\.0 s left/);
  for (const update of updates) expect(update.replace("\x1b[K", "").length).toBeLessThan(40);
});

test("--input - reads standard input, with CRLF and a byte-order mark", async () => {
  const io = new FakeIo();
  io.stdin = (async function* () {
    yield Buffer.from("\uFEFFab\r\n\r\n b");
    yield Buffer.from("a \n");
  })();
  const argv = [...quick, "--json", "--input", "-", "--output", temporaryFolder()];
  const { stdout } = await runCli(train, argv, {}, io);
  expect(parseLines(stdout)[0]).toMatchObject({ num_docs: 2, vocab_size: 3 });
});

test("documents longer than the context are cut, counted and trained on", async () => {
  const folder = temporaryFolder();
  const input = join(folder, "long.txt");
  writeFileSync(input, `${"x".repeat(1e6)}\nab\n`);
  const output = join(folder, "model");
  const argv = [...quick, "--format", "lines", "--input", input, "--output", output];
  const { code, stdout } = await runCli(train, argv);
  expect(code).toBe(0);
  expect(stdout).toContain("2 documents, 1 longer than the context of 16 tokens, and cut");
});

test("--device auto takes the adapter that there is, or the CPU where that is sooner done", async () => {
  const argv = [...quick, "--json", "--device", "auto", "--output", temporaryFolder()];
  const { code, stdout } = await runCli(train, argv);
  expect(code).toBe(0);
  const { software, name } = await sharedDevice();
  const [start] = parseLines(stdout);
  expect(start.fallback).toBeNull();
  expect([start.device, start.adapter]).toEqual(software ? ["cpu", null] : ["webgpu", name]);
});

test("--device webgpu trains on the GPU, within 1e-5 of microgpt.py's first losses", async () => {
  const output = temporaryFolder();
  const argv = [...quick, "--device", "webgpu", "--json", "--log-every", "1", "--output", output];
  const { code, stdout } = await runCli(train, argv);
  expect(code).toBe(0);
  const events = parseLines(stdout);
  expect(events[0].device).toBe("webgpu");
  const losses = events.filter(({ type }) => type === "step").map(({ loss }) => loss);
  // the third step's learning rate already depends on the number of steps
  for (const i of [0, 1]) expect(Math.abs(losses[i] - golden.losses[i])).toBeLessThan(1e-5);
  const texts = await runCli(generate, ["--model-dir", output, "--device", "webgpu"]);
  expect(texts.stdout.match(/^sample /gm)).toHaveLength(20);
});

test("a run that diverges says so, and the model that was there is kept", async () => {
  const output = temporaryFolder();
  await runCli(train, [...quick, "--output", output]);
  const before = readFileSync(join(output, "model.safetensors"));
  const argv = [...quick, "--steps", "50", "--lr", "1e38", "--output", output];
  const { code, stderr } = await runCli(train, argv);
  expect(code).toBe(1);
  expect(stderr).toMatch(/\/earlier-1\.\nerror: Training diverged: at step \d+ .*\n$/);
  expect(readFileSync(join(output, "earlier-1", "model.safetensors"))).toEqual(before);
});

describe("Ctrl-C", () => {
  test("ends the run after the steps in flight and saves the model", async () => {
    const output = temporaryFolder();
    const io = new FakeIo();
    io.stdout.onWrite = (text) => {
      if (text.includes('"step":10,')) io.emit("SIGINT");
    };
    const argv = [...quick, "--steps", "1000000", "--json", "--log-every", "10"];
    const { code, stdout, stderr } = await runCli(train, [...argv, "--output", output], {}, io);
    expect(code).toBe(130);
    expect(stderr).toContain("Stopping after the steps in flight");
    const end = parseLines(stdout).at(-1)!;
    expect(end).toMatchObject({ type: "end", interrupted: true, model_dir: output });
    expect(loadModel(output).step).toBe(end.steps);
    expect(io.listenerCount("SIGINT")).toBe(0);
  });

  test("before the first step leaves the model that was there", async () => {
    const output = temporaryFolder();
    const io = new FakeIo();
    io.stdout.onWrite = () => io.emit("SIGTERM");
    const { code, stdout } = await runCli(train, [...quick, "--output", output], {}, io);
    expect(code).toBe(143);
    expect(stdout).toContain("Nothing was saved");
    expect(readdirSync(output)).toEqual([]);
  });

  test("a second time quits at once, but not as the echo that npm makes of the first", async () => {
    const io = new FakeIo();
    let first = 0;
    let exitsAfterEcho: number[] = [];
    io.stdout.onWrite = (text) => {
      if (first === 0 && text.includes('"type":"step"')) {
        first = performance.now();
        io.emit("SIGINT");
        io.emit("SIGINT");
        exitsAfterEcho = [...io.exits];
      } else if (text.includes('"type":"end"')) {
        while (performance.now() - first < 600); // the user's next thought
        io.emit("SIGINT");
      }
    };
    const argv = [...quick, "--json", "--log-every", "1", "--output", temporaryFolder()];
    expect((await runCli(train, argv, {}, io)).code).toBe(130);
    expect(exitsAfterEcho).toEqual([]);
    expect(io.exits).toEqual([130]);
  });

  test("a reader that is gone (SIGPIPE) ends the run without a word, and the model is saved", async () => {
    const output = temporaryFolder();
    const io = new FakeIo();
    io.stdout.onWrite = (text) => {
      if (text.includes('"type":"step"')) io.emit("SIGPIPE");
    };
    const argv = [...quick, "--json", "--log-every", "1", "--output", output];
    expect(await runCli(train, argv, {}, io)).toMatchObject({ code: 141, stderr: "" });
    expect(loadModel(output).step).toBe(1);
  });
});

describe("a sentence and exit code 1 for", () => {
  const cases: [string, (folder: string) => string[], RegExp][] = [
    [
      "a missing input",
      (folder) => ["--input", join(folder, "none.txt")],
      /The training text .*none\.txt cannot be read: there is no such file or folder/,
    ],
    [
      "a folder without a text as input",
      (folder) => ["--input", folder],
      /holds no text to train on: it is empty/,
    ],
    [
      "an empty input",
      (folder) => ["--input", file(folder, "")],
      /data\.txt holds no documents: it is empty/,
    ],
    [
      "an input of white space",
      (folder) => ["--input", file(folder, " \n\t\r\n")],
      /holds no documents/,
    ],
    [
      "invalid UTF-8",
      (folder) => ["--input", file(folder, Uint8Array.of(0x61, 0x0a, 0xff, 0x62))],
      /data\.txt is not UTF-8 text: byte 2 starts no character.*iconv -f CP1252 -t UTF-8 \S+data\.txt > /,
    ],
    [
      "a NUL in the text",
      (folder) => ["--input", file(folder, "a\0b")],
      /data\.txt holds a NUL \(byte 1\), so it is a binary file and no text/,
    ],
    [
      "an output that is a file",
      (folder) => ["--output", file(folder, "a")],
      /No model can be saved in .*data\.txt: there is a file of that name/,
    ],
    [
      "an output below a file",
      (folder) => ["--output", join(file(folder, "a"), "model")],
      /No model can be saved in .*: a part of its path is a file/,
    ],
    [
      "an output that the system refuses",
      () => ["--output", "/proc/microgpt/model"],
      /No model can be saved in \/proc\/microgpt\/model: /,
    ],
  ];

  function file(folder: string, content: string | Uint8Array): string {
    const path = join(folder, "data.txt");
    writeFileSync(path, content);
    return path;
  }

  test.each(cases)("%s", async (_, argv, message) => {
    const folder = temporaryFolder();
    const output = join(folder, "model");
    const all = ["--device", "cpu", "--output", output, ...argv(folder)];
    const { code, stdout, stderr } = await runCli(train, all);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^error: [^\n]*\.\n$/);
    expect(existsSync(output)).toBe(false);
  });
});

test("an output folder that exists keeps its other files", async () => {
  const output = join(temporaryFolder(), "deep", "model");
  mkdirSync(output, { recursive: true });
  writeFileSync(join(output, "notes.md"), "mine");
  expect((await runCli(train, [...quick, "--output", output])).code).toBe(0);
  expect(readdirSync(output).sort()).toEqual([
    "config.json",
    "metrics.jsonl",
    "model.safetensors",
    "notes.md",
    "tokenizer.json",
    "training.safetensors",
  ]);
});
