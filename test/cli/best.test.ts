// best.safetensors: the model of the best validation beside the last one, whatever kills the run, and what reads it.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { main as generate } from "../../cli/generate.ts";
import { main as train } from "../../cli/train.ts";
import { load, save } from "../../src/index.ts";
import { loadBest, loadCheckpoint, loadModel } from "../../src/files/model_dir.node.ts";
import { Training } from "../../src/training/train.ts";
import { finding } from "../harness/finding.ts";
import { FakeIo, parseLines, runCli, temporaryFolder } from "./fake_io.ts";

const quick = [
  "--device",
  "cpu",
  "--steps",
  "10",
  "--num-samples",
  "1",
  "--n-embd",
  "4",
  "--n-head",
  "1",
];
const argv = [...quick, "--val-fraction", "0.01", "--eval-every", "2", "--json", "--output"];
const losses = [3, 1, 2, 2.5, 2.7];

afterEach(() => {
  vi.restoreAllMocks();
});

test("the model of the best validation is kept, and that of the last step beside it", async () => {
  const folder = temporaryFolder();
  finding(losses);
  const { stdout } = await runCli(train, [...argv, folder]);
  expect(parseLines(stdout).at(-1)).toMatchObject({
    best: { step: 4, val_loss: 1 },
    val_loss: 2.7,
    steps: 10,
  });
  expect(readdirSync(folder)).toContain("best.safetensors");
  expect(loadModel(folder).step).toBe(10);

  // It is the model of a run that ended there, its rates apart.
  const other = temporaryFolder();
  finding(losses);
  await runCli(train, [...argv, other, "--lr-schedule", "constant"]);
  const best = loadBest(other);
  finding([3, 2]);
  const short = temporaryFolder();
  await runCli(train, [...argv, short, "--lr-schedule", "constant", "--steps", "4"]);
  expect(best.step).toBe(4);
  expect(best.values).toEqual(loadModel(short).values);
});

test("generate --best and load() read it, and say so where there is none", async () => {
  const folder = temporaryFolder();
  finding(losses);
  await runCli(train, [...argv, folder]);
  const write = ["--model-dir", folder, "--device", "cpu", "--json", "--temperature", "1"];
  const [best, last] = [
    await runCli(generate, [...write, "--best"]),
    await runCli(generate, write),
  ];
  expect(best.code).toBe(0);
  expect(best.stdout).not.toBe(last.stdout);
  expect((await load(folder, { best: true })).step).toBe(4);
  expect((await load(folder)).step).toBe(10);
  await expect(load(folder, { bset: true } as never)).rejects.toThrow(/bset/);

  rmSync(join(folder, "best.safetensors"));
  const none = await runCli(generate, [...write, "--best"]);
  expect(none).toMatchObject({ code: 1, stdout: "" });
  expect(none.stderr).toMatch(
    /^error: .* holds no best model: there is no best\.safetensors in it\. .*eval_every.*\n$/,
  );
});

test("a run that is validated at its end alone keeps its model once", async () => {
  const folder = temporaryFolder();
  await runCli(train, [...quick, "--val-fraction", "0.01", "--output", folder]);
  expect(existsSync(join(folder, "best.safetensors"))).toBe(false);

  // Where it goes on with more of them, that model may be the best of all.
  const more = ["--output", folder, "--resume", "--steps", "12", "--eval-every", "1"];
  finding([99, 99]);
  const { stdout } = await runCli(train, more);
  expect(stdout).toMatch(/^Of the best, step 10: /m);
  expect(loadBest(folder).step).toBe(10);
});

test("people are told which is the best, why a run stopped, and how to write with the best", async () => {
  const folder = temporaryFolder();
  finding(losses);
  const human = [...argv.filter((flag) => flag !== "--json"), folder, "--patience", "2"];
  const { stdout, code } = await runCli(train, human);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^step 4 {2}val loss 1\.0000 .* bits\/byte {2}best$/m);
  expect(stdout).toMatch(/^step 6 {2}val loss 2\.0000 .* bits\/byte$/m);
  expect(stdout).toMatch(
    /^stopped after step 8: 2 validations since that after step 4 found no loss lower/m,
  );
  expect(stdout).toMatch(/^Of the best, step 4: npm run generate -- --model-dir .* --best$/m);
  expect(stdout).not.toContain("To go on");
  // It is at its end: a new run keeps it aside, with its best.
  finding(losses);
  const next = await runCli(train, [...argv, folder]);
  expect(next.stderr).toContain("earlier-1");
  expect(loadBest(join(folder, "earlier-1")).step).toBe(4);

  const json = temporaryFolder();
  finding(losses);
  const events = parseLines((await runCli(train, [...argv, json, "--patience", "2"])).stdout);
  expect(events.filter(({ type }) => type === "stop")).toMatchObject([
    { step: 8, reason: "patience" },
  ]);
  expect(events.at(-1)).toMatchObject({ type: "end", steps: 8, stopped: "patience" });
  expect(loadCheckpoint(json)).toMatchObject({ step: 8, best: { step: 4, val_loss: 1, later: 2 } });
  const stuck = await runCli(train, ["--resume", "--output", json]);
  expect(stuck).toMatchObject({ code: 2, stdout: "" });
  expect(stuck.stderr).toMatch(
    /^error: --patience is 2, and the run to resume has had 2 validations/,
  );
});

test("killed between any two files, no best is lost, and the rest of the run finds the same", async () => {
  const whole = temporaryFolder();
  finding(losses);
  const all = [...argv, whole, "--save-every", "3"];
  await runCli(train, all);
  const expected = readFileSync(join(whole, "best.safetensors"));
  for (let write = 1; ; write++) {
    const folder = temporaryFolder();
    const kill = new Error("killed");
    let writes = 0;
    // From some save or best on nothing is written any more, as if the process were gone.
    const dies = async function <T>(this: Training, ask: () => Promise<T>): Promise<T> {
      if (++writes >= write) throw kill;
      return ask.call(this);
    };
    const { model, checkpoint } = Training.prototype;
    vi.spyOn(Training.prototype, "model").mockImplementation(function (this: Training) {
      return dies.call(this, model) as ReturnType<typeof model>;
    });
    vi.spyOn(Training.prototype, "checkpoint").mockImplementation(function (this: Training) {
      return dies.call(this, checkpoint) as ReturnType<typeof checkpoint>;
    });
    finding(losses);
    const { code } = await runCli(train, [...argv, folder, "--save-every", "3"]);
    vi.restoreAllMocks();
    if (code === 0) break;
    if (write === 1) continue; // before the run had a folder
    const run = loadCheckpoint(folder);
    // The state never knows of a best that is not there.
    const kept = run.best === null ? 0 : loadBest(folder).step;
    expect(kept).toBeGreaterThanOrEqual(run.best?.step ?? 0);
    const done = Math.floor(run.step / 2) - (run.validated ? 0 : 1);
    finding(losses.slice(done));
    const rest = await runCli(train, ["--resume", "--output", folder, "--json"]);
    expect(rest.stderr).toBe("");
    expect(readFileSync(join(folder, "best.safetensors"))).toEqual(expected);
    expect(write).toBeLessThan(20);
  }
});

test("a disk that refuses the best ends nothing, and has it at the next save", async () => {
  const folder = temporaryFolder();
  finding(losses);
  const io = new FakeIo();
  const path = join(folder, "best.safetensors");
  io.stdout.onWrite = (text) => {
    if (text.includes(`"type":"step","step":4,`)) {
      rmSync(path, { force: true });
      mkdirSync(join(path, "x"), { recursive: true });
    }
    if (text.includes(`"type":"step","step":5,`)) rmSync(path, { recursive: true });
  };
  const { code } = await runCli(
    train,
    [...argv, folder, "--log-every", "1", "--save-every", "6"],
    {},
    io,
  );
  expect(code).toBe(0);
  expect(io.stderr.text).toMatch(
    /^warning: Saving the best model failed\. .* tried again at the next save\.\n$/,
  );
  expect(loadBest(folder).step).toBe(4);
});

test("another model in the folder takes the place of the run and its best", async () => {
  const folder = temporaryFolder();
  finding(losses);
  await runCli(train, [...argv, folder]);
  await save(await load(folder), folder);
  expect(existsSync(join(folder, "best.safetensors"))).toBe(false);
});

test("a run that diverges leaves its last save and its best, and says where", async () => {
  const folder = temporaryFolder();
  finding([3, 1, 2, NaN]);
  const { code, stderr } = await runCli(train, [...argv, folder, "--save-every", "6"]);
  expect(code).toBe(1);
  const lines = stderr.trimEnd().split("\n");
  expect(lines[0]).toBe(`Step 6 of the run is in ${folder}.`);
  expect(lines[1]).toBe(
    `Its best model is of step 4: npm run generate -- --model-dir ${folder} --best`,
  );
  expect(lines[2]).toMatch(/^error: Training diverged: after step 8 the validation loss is NaN/);
  expect([loadModel(folder).step, loadBest(folder).step]).toEqual([6, 4]);
});
