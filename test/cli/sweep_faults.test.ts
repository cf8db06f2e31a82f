// Whatever the disk refuses a sweep, and whenever it is killed: its best model is somewhere, and what was there before, too.

import fs from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { main as sweep } from "../../cli/sweep.ts";
import { main as train } from "../../cli/train.ts";
import { loadModel } from "../../src/files/model_dir.node.ts";
import { fail, faults, faultyDisk, full } from "../harness/faulty_disk.ts";
import { FakeIo, runCli, temporaryFolder } from "./fake_io.ts";

const lists = ["--device", "cpu", "--input", faultyDisk()];

test("a full disk leaves the best model of a sweep elsewhere", async () => {
  const output = temporaryFolder();
  const io = new FakeIo();
  io.stdout.onWrite = () => full(output);
  const argv = [...lists, "--steps", "3", "--seed", "1,2", "--json", "--output", output];
  const { code, stderr } = await runCli(sweep, argv, {}, io);
  expect(code).toBe(1);
  const refuge = / It is saved in (\S+) instead\.\n$/.exec(stderr)![1];
  expect(loadModel(refuge).step).toBe(3);
  fs.rmSync(refuge, { recursive: true });
});

test("a sweep saves its best model on the way: one that is killed leaves it", async () => {
  const output = temporaryFolder();
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => (now += 20_000));
  const io = new FakeIo();
  let seen = 0;
  io.stdout.onWrite = (text) => {
    if (!text.includes('"type":"model","index":5')) return;
    expect(loadModel(output).step).toBe(3);
    full(output);
    seen++;
  };
  const argv = [...lists, "--steps", "3", "--seed", "1..9", "--json", "--output", output];
  const { stderr, code } = await runCli(sweep, argv, {}, io);
  vi.restoreAllMocks();
  expect({ seen, code }).toEqual({ seen: 1, code: 1 });
  const refuge = / It is saved in (\S+) instead\.\n$/.exec(stderr)?.[1];
  if (refuge) fs.rmSync(refuge, { recursive: true });
});

test("a sweep whose model cannot be saved leaves the earlier one in its place, and tells its results", async () => {
  const output = temporaryFolder();
  expect((await runCli(train, [...lists, "--steps", "8", "--output", output])).code).toBe(0);
  const before = fs.readFileSync(join(output, "model.safetensors"));
  faults.check = (call, path) => {
    const weights = String(path).includes(join(output, ".model.safetensors"));
    if (call === "openSync" && weights) fail("ENOSPC");
  };
  const argv = [...lists, "--steps", "8", "--seed", "1,2", "--output", output];
  const { code, stdout, stderr } = await runCli(sweep, argv);
  expect(code).toBe(1);
  expect(stdout).toMatch(/^done: 2 models/m);
  expect(stderr).toContain("is saved in");
  expect(fs.readFileSync(join(output, "model.safetensors"))).toEqual(before);
});
