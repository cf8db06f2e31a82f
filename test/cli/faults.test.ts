// Whatever the disk and main memory refuse, and whenever: a run goes on, and leaves a state or a model that loads.

import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { loadCheckpoint, loadModel } from "../../src/files/model_dir.node.ts";
import { main as train } from "../../cli/train.ts";
import { makeFolder } from "../../src/platform/platform.node.ts";
import { CpuTrainer } from "../../src/training/cpu_trainer.ts";
import { Training } from "../../src/training/train.ts";
import { fail, faults, faultyDisk, full } from "../harness/faulty_disk.ts";
import { FakeIo, parseLines, runCli, temporaryFolder } from "./fake_io.ts";

const argv = "--device cpu --num-samples 1 --steps 8 --json --log-every 1".split(" ");
argv.push("--input", faultyDisk());

/** Acts when a step is told. */
function acting(actions: Record<number, () => void>): FakeIo {
  const io = new FakeIo();
  io.stdout.onWrite = (text) => {
    const step = /"type":"step","step":(\d+),/.exec(text)?.[1];
    if (step !== undefined) actions[Number(step)]?.();
  };
  return io;
}

describe("a disk that is full", () => {
  test("at the beginning refuses the run before its first step, and what was there is as it was", async () => {
    const output = temporaryFolder();
    await runCli(train, [...argv, "--output", output]);
    const before = fs.readdirSync(output);
    full(output, "EDQUOT");
    const { code, stdout, stderr } = await runCli(train, [...argv, "--output", output]);
    expect(code).toBe(1);
    expect(stdout).not.toContain('"type":"step"');
    expect(stderr).toMatch(
      /^error: No model can be saved in .*: the disk quota is used up \(EDQUOT\)/m,
    );
    expect(fs.readdirSync(output)).toEqual(before);
    expect(loadCheckpoint(output).step).toBe(8);
  });

  test("for a while is told, tried again, and costs nothing in the end", async () => {
    const output = temporaryFolder();
    const io = acting({ 2: () => full(output), 5: () => (faults.check = () => {}) });
    const more = ["--save-every", "3", "--output", output];
    const { code, stdout, stderr } = await runCli(train, [...argv, ...more], {}, io);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /^warning: Saving step 3 failed\. No model can be saved in .*: the disk is full \(ENOSPC\)\..* The run goes on, and tries it again\.$/m,
    );
    const saves = parseLines(stdout).filter(({ type }) => type === "save");
    expect(saves.map(({ step }) => step)).toEqual([6]);
    expect(loadCheckpoint(output).step).toBe(8);
    const metrics = fs.readFileSync(join(output, "metrics.jsonl"), "utf8");
    expect(parseLines(metrics).map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test("to the end has the last save elsewhere, and says where", async () => {
    const output = temporaryFolder();
    const io = acting({ 5: () => full(output) });
    const more = ["--save-every", "3", "--output", output];
    const { code, stderr } = await runCli(train, [...argv, ...more], {}, io);
    expect(code).toBe(1);
    const refuge = / It is saved in (\S+) instead\.\n$/.exec(stderr)![1];
    expect(refuge.startsWith(tmpdir())).toBe(true);
    expect(loadCheckpoint(refuge).step).toBe(8);
    expect(loadModel(refuge).step).toBe(8);
    faults.check = () => {};
    fs.rmSync(refuge, { recursive: true });
    expect(stderr).toContain(`Step 3 of the run is in ${output}.\n`);
    expect(loadCheckpoint(output).step).toBe(3);
    const rest = await runCli(train, ["--output", output, "--resume", "--json"]);
    expect(rest.code).toBe(0);
  });

  test("for the state of a run alone leaves none of an older run to be gone on with", async () => {
    const output = temporaryFolder();
    const older = new FakeIo();
    older.stdout.onWrite = (text) => {
      if (text.includes('"step":6,')) older.emit("SIGINT");
    };
    await runCli(train, [...argv, "--seed", "1", "--output", output], {}, older);
    expect(loadCheckpoint(output)).toMatchObject({ step: 6, config: { seed: 1 } });
    const newer = acting({
      2: () => {
        faults.check = (_, path) => {
          if (String(path).includes("training.safetensors")) fail("ENOSPC");
        };
      },
    });
    const mine = [...argv, "--seed", "2", "--overwrite", "--output", output];
    const { code, stderr } = await runCli(train, mine, {}, newer);
    faults.check = () => {};
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: The model of step 8 is saved in .*, but not the run/m);
    expect(loadModel(output)).toMatchObject({ step: 8, config: { seed: 2 } });
    const rest = await runCli(train, ["--output", output, "--resume", "--json"]);
    expect(rest.code).toBe(0);
    expect(loadCheckpoint(output)).toMatchObject({ step: 8, config: { seed: 2 } });
  });
});

test("whichever call of the file system fails from the last step on, what was saved before loads, or the new", async () => {
  // An older model is there too, of which nothing may be mixed in.
  let failed = 0;
  for (let nth = 1; ; nth++) {
    const output = temporaryFolder();
    let calls = 0;
    const io = acting({
      8: () => {
        faults.check = () => {
          if (++calls >= nth) fail("EIO");
        };
      },
    });
    const more = ["--save-every", "5", "--val-fraction", "0.25", "--output", output];
    const { code, stderr } = await runCli(train, [...argv, ...more], {}, io);
    faults.check = () => {};
    const [run, model] = [loadCheckpoint(output), loadModel(output)];
    expect([5, 8]).toContain(run.step);
    expect([5, 8]).toContain(model.step);
    expect(fs.readdirSync(output).filter((name) => name.startsWith("earlier"))).toEqual([]);
    if (code === 0) break;
    failed++;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: .*\(EIO\).*\.$/m);
    expect(stderr).toMatch(/^Step [58] of the run is in /m);
    if (nth % 6 !== 0) continue;
    const resumed = await runCli(train, ["--output", output, "--resume", "--json", "--steps", "9"]);
    expect(resumed.code).toBe(0);
    expect(loadModel(output).step).toBe(9);
  }
  expect(failed).toBeGreaterThan(10);
});

test("whichever call fails as a new run takes the folder, the finished model that was there loads", async () => {
  let failed = 0;
  for (let nth = 1; ; nth++) {
    const output = temporaryFolder();
    await runCli(train, [...argv, "--output", output]);
    const io = new FakeIo();
    let calls = 0;
    io.stdout.onWrite = (text) => {
      if (!text.includes('"type":"start"')) return;
      faults.check = () => {
        if (++calls === nth) fail("EIO");
      };
    };
    const more = ["--seed", "7", "--output", output];
    const { code } = await runCli(train, [...argv, ...more], {}, io);
    faults.check = () => {};
    const [aside, steps] = [join(output, "earlier-1"), calls];
    const place = fs.existsSync(join(aside, "model.safetensors")) ? aside : output;
    expect(loadModel(place)).toMatchObject({ step: 8, config: { seed: 42 } });
    if (steps < nth) break;
    if (code !== 0) failed++;
  }
  expect(failed).toBeGreaterThan(5);
});

test("a folder that is removed in mid-run is made again, with its parents", async () => {
  const parent = join(temporaryFolder(), "a");
  const output = join(parent, "b");
  const io = acting({ 4: () => fs.rmSync(parent, { recursive: true }) });
  const more = ["--save-every", "3", "--output", output];
  const outcome = await runCli(train, [...argv, ...more], {}, io);
  expect(outcome.code).toBe(0);
  expect(loadCheckpoint(output).step).toBe(8);
  const gone = acting({ 7: () => fs.rmSync(parent, { recursive: true }) });
  expect((await runCli(train, [...argv, ...more], {}, gone)).code).toBe(0);
  expect(loadModel(output).step).toBe(8);
});

test("main memory that does not suffice to save in mid-run is told, and the run goes on", async () => {
  const output = temporaryFolder();
  const checkpoint = vi.spyOn(Training.prototype, "checkpoint");
  const io = acting({
    2: () => checkpoint.mockRejectedValueOnce(new RangeError("Array buffer allocation failed")),
  });
  const more = ["--save-every", "3", "--output", output];
  const { code, stderr } = await runCli(train, [...argv, ...more], {}, io);
  checkpoint.mockRestore();
  expect(code).toBe(0);
  expect(stderr).toMatch(
    /^warning: Saving step 3 failed\. No model .*: main memory does not suffice \(Array buffer .*\)\. /,
  );
  expect(loadCheckpoint(output).step).toBe(8);
});

test("main memory that does not suffice at the end is a sentence, and what was saved before is there", async () => {
  const output = temporaryFolder();
  const checkpoint = vi.spyOn(Training.prototype, "checkpoint");
  const error = new RangeError("Array buffer allocation failed");
  const io = acting({ 6: () => checkpoint.mockRejectedValue(error) });
  const more = ["--save-every", "3", "--output", output];
  const { code, stderr } = await runCli(train, [...argv, ...more], {}, io);
  checkpoint.mockRestore();
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^Step 3 of the run is in .*\nerror: No model .* main memory does not suffice/m,
  );
  expect(loadCheckpoint(output).step).toBe(3);
});

describe("the last validation", () => {
  const validating = [...argv, "--val-fraction", "0.5", "--output"];

  test("comes after the save: a signal ends it, and it is made up for by the run that goes on", async () => {
    const output = temporaryFolder();
    const whole = parseLines((await runCli(train, [...validating, output])).stdout);
    const io = new FakeIo();
    io.stdout.onWrite = (text) => {
      if (text.includes('"due":"validation"')) io.emit("SIGTERM");
    };
    const mine = [...validating, output, "--overwrite"];
    const { code, stdout } = await runCli(train, mine, {}, io);
    expect(code).toBe(143);
    expect(stdout).not.toContain('"eval"');
    expect(parseLines(stdout).at(-1)).toMatchObject({
      steps: 8,
      val_loss: null,
      bits_per_byte: null,
      best: null,
      interrupted: true,
    });
    expect(loadModel(output).step).toBe(8);
    const refused = await runCli(train, [...argv, "--output", output]);
    expect(refused.stderr).toMatch(/a run that is not finished: 8 of 8 steps/);

    const rest = await runCli(train, ["--output", output, "--resume", "--json"]);
    expect(rest.code).toBe(0);
    const from = whole.findIndex(({ type }) => type === "save");
    const same = (events: Record<string, unknown>[]) =>
      events.filter(({ type }) => type !== "start" && type !== "end");
    expect(same(parseLines(rest.stdout))).toEqual(same(whole.slice(from)));
    const metrics = parseLines(fs.readFileSync(join(output, "metrics.jsonl"), "utf8"));
    expect(metrics.slice(-2).map(({ type, step }) => [type, step])).toEqual([
      ["step", 8],
      ["eval", 8],
    ]);
    const again = await runCli(train, ["--output", output, "--resume"]);
    expect(again.stderr).toMatch(/has done all its 8 steps/);
    // People are told of it without a step too.
    await runCli(train, mine, {}, io);
    const told = await runCli(train, ["--output", output, "--resume"]);
    expect(told.stdout).toMatch(
      /saved {3}step 8 in .*\nstep 8 {2}val loss \d\.\d+ {2}\d\.\d+ bits\/byte\nsample/,
    );
  });

  test("whose loss is no number leaves the model that it was of", async () => {
    const output = temporaryFolder();
    vi.spyOn(CpuTrainer.prototype, "evaluate").mockResolvedValue(NaN);
    const { code, stderr } = await runCli(train, [...validating, output]);
    vi.restoreAllMocks();
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^Step 8 of the run is in .*\nerror: Training diverged: after step 8 the/,
    );
    expect(loadModel(output).step).toBe(8);
  });
});

test("a folder on a drive that is not there is refused, and not looked for without end", () => {
  faults.check = (call) => {
    if (call === "mkdirSync") fail("ENOENT");
  };
  const exists = vi.spyOn(fs, "existsSync").mockReturnValue(false);
  syncBuiltinESMExports();
  try {
    expect(() => makeFolder("/drive/a/b")).toThrow("ENOENT");
    expect(exists).toHaveBeenCalledTimes(3);
  } finally {
    exists.mockRestore();
    syncBuiltinESMExports();
  }
});
