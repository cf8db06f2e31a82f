// `sweep`: its lists, what it prints and saves, and how it ends.

import { readdirSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { loadModel } from "../../src/files/model_dir.node.ts";
import { main as generate } from "../../cli/generate.ts";
import { main as sweep } from "../../cli/sweep.ts";
import { listValues } from "../../cli/sweep_lists.ts";
import type { Setting } from "../../src/config/setting.ts";
import { settings } from "../../src/config/settings.ts";
import { GpuError } from "../../src/errors.ts";
import { Sweep } from "../../src/training/sweep.ts";
import { FakeIo, parseLines, runCli, temporaryFolder } from "./fake_io.ts";

const setting = (flag: string): Setting => settings.find((setting) => setting.flag === flag)!;

describe("a list", () => {
  test.each<[string, string, unknown[]]>([
    ["lr", "0.01", [0.01]],
    ["lr", "0.003,0.01, 3e-2", [0.003, 0.01, 0.03]],
    ["lr", "0.1..0.5..0.1", [0.1, 0.2, 0.3, 0.4, 0.5]],
    ["lr", "0..0.1..0.04", [0, 0.04, 0.08]],
    ["lr", "0,0.1", [0, 0.1]],
    ["grad-clip", "1,0", [1, 0]],
    ["grad-clip", "0,1,5", [0, 1, 5]],
    ["seed", "0,3", [0, 3]],
    ["seed", "1..5", [1, 2, 3, 4, 5]],
    ["seed", "1..10..4,5,7..8", [1, 5, 9, 7, 8]],
    ["n-embd", "16..16", [16]],
    ["activation", "relu,relu_squared", ["relu", "relu_squared"]],
    ["zero-init", "true", [true]],
  ])("--%s %s", (flag, text, values) => {
    expect(listValues(setting(flag), text, `--${flag}`)).toEqual(values);
  });

  test.each<[string[], RegExp]>([
    [["--lr", "0.01,,0.02"], /--lr is "0.01,,0.02": between two commas.*there must be a value/],
    [["--lr", ","], /there must be a value/],
    [
      ["--lr", "0,003"],
      /--lr is "0,003", and in a list a comma .* write 0.003 with a point, or 3,0 if two/,
    ],
    [["--lr", "0.1, 0,05"], /write 0.05 with a point/],
    [["--lr", "0,01..0,05..0,01"], /write 0.01 with a point/],
    [["--grad-clip", "0,5"], /write 0.5 with a point, or 5,0 if two values are meant/],
    [["--weight-decay", "0,1,0,3"], /write 0.1 with a point/],
    [["--beta1", "0,9"], /write 0.9 with a point/],
    [["--lr", "0,0"], /write 0.0 with a point\./],
    [["--lr", "0.01..0.1"], /a range without a step; write 0.01..0.1..0.009, for instance/],
    [["--lr", "0.1..0.01..0.01"], /ends before it begins/],
    [["--lr", "0.1..0.01"], /ends before it begins; write the smaller number first/],
    [["--seed", "1..9..0"], /the step 0 must be a whole number above 0/],
    [["--seed", "1..9..1.5"], /the step 1.5 must be a whole number above 0/],
    [["--lr", "1..2..x"], /the step x must be a number above 0/],
    [["--seed", "1..2..3..4"], /a range is first..last or first..last..step/],
    [["--seed", "..5"], /a range is first..last/],
    [["--seed", "a..5"], /--seed is "a"; it must be a whole number/],
    [["--seed", "1,x"], /--seed is "x"; it must be a whole number/],
    [["--activation", "relu..x"], /only numbers have ranges/],
    [["--seed", "0..1000000"], /1,000,001 values are more than a sweep can train/],
    [
      ["--seed", "1..1000", "--n-layer", "1..200"],
      /200,000 models \(--n-layer 200 × --seed 1000\)/,
    ],
    [["--n-embd", "8,10"], /--n-embd 10 cannot be split/],
    [["--temperature", "0.5"], /no flag --temperature/],
    [["--eval-every", "5"], /no flag --eval-every/],
    [
      ["--format", "lines,text"],
      /read the text in one way, and these have a format of lines and text; choose one of them/,
    ],
    [
      ["--tokenizer", "word,char"],
      /The models of a sweep have one tokenizer, and these have a tokenizer of word and char; choose/,
    ],
    [
      ["--format", "text", "--val-split", "blocks", "--val-fraction", "0.1", "--seed", "1,2"],
      /--val-split blocks holds out what seed draws, which is not the same for all models/,
    ],
    [
      ["--val-fraction", "0,0.1"],
      /--val-fraction is 0 for some models of the sweep and 0.1 for others, .*; choose one/,
    ],
    [
      ["--val-fraction", "0.00001"],
      /1,936 documents, and a val_fraction of 0.00001 holds out none/,
    ],
  ])("that is wrong gets a sentence and exit code 2: %j", async (argv, message) => {
    const { code, stdout, stderr } = await runCli(sweep, argv);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^error: [^\n]*\.\n$/);
  });
});

const quick = ["--steps", "10", "--lr", "0.003,0.03", "--seed", "1..2"];
const together = ["--json", "--device", "webgpu"];

test("--json prints start, a line for each model and end; the best model is saved and generates", async () => {
  const output = temporaryFolder();
  const { code, stdout } = await runCli(sweep, [...quick, ...together, "--output", output]);
  expect(code).toBe(0);
  const events = parseLines(stdout);
  expect(events.map(({ type }) => type).join(" ")).toBe("start model model model model end");
  expect(events[0]).toMatchObject({
    device: "webgpu",
    num_models: 4,
    num_small: 4,
    model_steps: 40,
  });
  const models = events.slice(1, 5);
  // The settings' order, not the flags', decides which one changes fastest.
  expect(models.map(({ index, settings }) => [index, settings])).toEqual([
    [0, { learning_rate: 0.003, seed: 1 }],
    [1, { learning_rate: 0.003, seed: 2 }],
    [2, { learning_rate: 0.03, seed: 1 }],
    [3, { learning_rate: 0.03, seed: 2 }],
  ]);
  for (const { steps, final_loss, mean_loss } of models) {
    expect(steps).toBe(10);
    expect(final_loss).toBe(mean_loss); // a tenth of ten steps
  }
  const end = events[5];
  expect(end).toMatchObject({ models: 4, model_steps: 40, model_dir: output });
  const best = Math.min(...models.map(({ mean_loss }) => mean_loss));
  expect(models[end.best].mean_loss).toBe(best);

  const { config, step } = loadModel(output);
  expect(step).toBe(10);
  expect(config).toMatchObject(models[end.best].settings);
  const texts = await runCli(generate, ["--model-dir", output, "--num-samples", "2"]);
  expect(texts.stdout.match(/^sample /gm)).toHaveLength(2);
});

test("without --json it prints a header and a table, the best model first", async () => {
  const output = temporaryFolder();
  const argv = [...quick, "--device", "cpu", "--output", output];
  const { code, stdout } = await runCli(sweep, argv);
  expect(code).toBe(0);
  expect(stdout).toContain("device  CPU, in float64\n");
  expect(stdout).toContain("sweep   4 models that differ in lr, seed; 4 one after the other\n");
  expect(stdout).toMatch(/^model {5}lr {2}seed {2}mean loss\* {2}final loss$/m);
  const rows = [...stdout.matchAll(/^ +(\d) +0\.0\d+ +[12] +(\d\.\d{4}) +\d\.\d{4}$/gm)];
  expect(rows).toHaveLength(4);
  const means = rows.map((row) => Number(row[2]));
  expect(means).toEqual(means.toSorted((a, b) => a - b));
  expect(stdout).toMatch(/done: 4 models, 40 steps in .* model-steps\/s\n/);
  expect(stdout).toContain(`saved   model ${rows[0][1]}, the best, in ${output}\n`);
});

test("what is held out decides which model is the best, of documents and of one text", async () => {
  for (const format of ["lines", "text"]) {
    const output = temporaryFolder();
    const argv = [...quick, "--val-fraction", "0.01", "--format", format, "--output", output];
    const { stdout } = await runCli(sweep, [...argv, "--json"]);
    const events = parseLines(stdout);
    const losses = events.slice(1, 5).map(({ val_loss }) => val_loss);
    expect(events[5].best).toBe(losses.indexOf(Math.min(...losses)));

    const table = (await runCli(sweep, [...argv, "--device", "cpu"])).stdout;
    expect(table).toContain(format === "text" ? "one text of 12,659 tokens;" : "1,936 documents;");
    expect(table).toMatch(/mean loss\* {2}final loss {2}val loss {2}bits\/byte$/m);
    const shown = [...table.matchAll(/^ +\d +0\.0\d+ +[12].* (\d\.\d{4})$/gm)].map((row) => row[1]);
    expect(shown).toHaveLength(4);
    expect(shown).toEqual(shown.toSorted());
  }
});

test("a terminal gets one line of progress that is written over, no wider than itself", async () => {
  const io = new FakeIo();
  io.stdout.isTTY = true;
  io.stdout.columns = 50;
  const argv = [
    "--device",
    "cpu",
    "--steps",
    "2000",
    "--seed",
    "1..2",
    "--output",
    temporaryFolder(),
  ];
  await runCli(sweep, argv, {}, io);
  const updates = io.stdout.text.split("\r").slice(1, -1);
  expect(updates.length).toBeGreaterThan(0);
  expect(updates[0]).toMatch(/^0\/2 models {2}[\d,]+\/4,000 steps/);
  for (const update of updates) expect(update.replace("\x1b[K", "").length).toBeLessThan(50);
});

test("a long table is cut", async () => {
  const argv = ["--steps", "1", "--seed", "1..45", "--output", temporaryFolder()];
  const { stdout } = await runCli(sweep, argv);
  expect(stdout).toContain("… and 5 more; --json tells them all\n");
});

describe("Ctrl-C", () => {
  test("ends the sweep after the steps in flight, tells what was done and saves the best", async () => {
    const output = temporaryFolder();
    const io = new FakeIo();
    io.stdout.isTTY = true;
    io.stdout.onWrite = (text) => {
      if (text.startsWith("\r") && text.includes("model-steps")) io.emit("SIGINT");
    };
    const argv = ["--steps", "1000000", "--seed", "1..3", "--device", "webgpu", "--output", output];
    const { code, stdout, stderr } = await runCli(sweep, argv, {}, io);
    expect(code).toBe(130);
    expect(stderr).toContain("Stopping after the steps in flight");
    expect(stdout).toMatch(/model {2}seed {2}steps done {2}mean loss\*/);
    expect(stdout).toMatch(/stopped: 3 models/);
    expect(loadModel(output).step).toBeGreaterThan(0);
    expect(io.listenerCount("SIGINT")).toBe(0);
  });

  test("before the first step leaves the folder as it was", async () => {
    const output = temporaryFolder();
    const io = new FakeIo();
    io.stdout.onWrite = () => io.emit("SIGTERM");
    const { code, stdout } = await runCli(sweep, [...quick, "--output", output], {}, io);
    expect(code).toBe(143);
    expect(stdout).toContain("Nothing was saved");
    expect(readdirSync(output)).toEqual([]);
  });
});

test("a sweep of which every model diverges says so, with exit code 1", async () => {
  const output = temporaryFolder();
  const argv = ["--steps", "30", "--lr", "1e38", "--seed", "1,2", "--output", output];
  const { code, stdout } = await runCli(sweep, argv);
  expect(code).toBe(1);
  expect(stdout.match(/diverged/g)!.length).toBeGreaterThanOrEqual(2);
  expect(stdout).toContain("Nothing was saved");
  expect(readdirSync(output)).toEqual([]);
});

test("where the device fails, the best of the models before is saved, with exit code 1", async () => {
  const output = temporaryFolder();
  const { run } = Sweep.prototype;
  const spy = vi.spyOn(Sweep.prototype, "run").mockImplementation(async function* (this: Sweep) {
    for await (const event of run.call(this)) {
      yield event;
      if (event.type === "model" && event.index === 1) throw new GpuError("It was lost.");
    }
  });
  const { code, stderr } = await runCli(sweep, [...quick, "--device", "cpu", "--output", output]);
  spy.mockRestore();
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^The best model so far, model [12], is saved in .*\nerror: It was lost\.\n$/,
  );
  expect(loadModel(output).step).toBe(10);
});
