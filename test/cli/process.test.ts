// The commands as processes of their own: signals, pipes and exit codes.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadCheckpoint, loadModel } from "../../src/files/model_dir.node.ts";
import { temporaryFolder } from "./fake_io.ts";

const root = join(import.meta.dirname, "../..");
const endless = ["--device", "cpu", "--steps", "1000000000", "--log-every", "100", "--json"];

/** The environment without what sets our own flags, or the tests'. */
const clean = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith("MICROGPT_")),
);

function start(name: string, argv: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawn(process.execPath, [join(root, "cli", `${name}.ts`), ...argv], {
    env: { ...clean, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function finish(child: ChildProcess) {
  const text = { stdout: "", stderr: "" };
  child.stdout!.on("data", (data) => (text.stdout += data));
  child.stderr!.on("data", (data) => (text.stderr += data));
  const [code] = await once(child, "close");
  return { code: code as number, ...text };
}

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
  ["SIGQUIT", 131],
  ["SIGXCPU", 152],
] as const)(
  "%s ends a run with exit code %d and a model that loads and writes",
  async (signal, code) => {
    const output = temporaryFolder();
    const child = start("train", [...endless, "--output", output]);
    const outcome = finish(child);
    await once(child.stdout!, "data"); // the start; the next ones are steps
    await once(child.stdout!, "data");
    child.kill(signal);
    expect((await outcome).code).toBe(code);
    const { steps } = JSON.parse((await outcome).stdout.trimEnd().split("\n").at(-1)!);
    expect(loadModel(output).step).toBe(steps);

    const argv = ["--model-dir", output, "--device", "cpu", "--num-samples", "2"];
    const texts = await finish(start("generate", argv));
    expect(texts).toMatchObject({ code: 0, stderr: "" });
    expect(texts.stdout).toMatch(/^sample {2}1: .*\nsample {2}2: .*\n$/);
  },
);

test("kill -9 after a checkpoint, and --resume: the last losses are those of a run in one piece", async () => {
  const [whole, parts] = [temporaryFolder(), temporaryFolder()];
  const argv = ["--device", "cpu", "--steps", "3000", "--n-embd", "32", "--log-every", "100"];
  const quick = [...argv, "--num-samples", "2", "--json", "--output"];
  const reference = finish(start("train", [...quick, whole]));
  const child = start("train", [...quick, parts, "--save-every", "50"]);
  await once(child.stdout!, "data"); // the start; the first checkpoint, or the first step that is told
  await once(child.stdout!, "data");
  child.kill("SIGKILL");
  await once(child, "close");
  const { step } = loadCheckpoint(parts);
  expect(step % 50).toBe(0);

  const rest = await finish(start("train", [...quick, parts, "--resume"]));
  const lines = (text: string) =>
    text.split("\n").filter((line) => /"type":"(step|sample)"/.test(line));
  const expected = lines((await reference).stdout).slice(Math.floor(step / 100));
  expect(lines(rest.stdout)).toEqual(expected);
  expect(rest).toMatchObject({ code: 0, stderr: "" });
});

test("a reader that leaves (train | head) ends the run quietly, with the model saved", async () => {
  const output = temporaryFolder();
  const child = start("train", [...endless, "--output", output]);
  let stderr = "";
  child.stderr!.on("data", (data) => (stderr += data));
  await once(child.stdout!, "data");
  child.stdout!.destroy();
  const [code] = await once(child, "close");
  expect({ code, stderr }).toEqual({ code: 141, stderr: "" });
  expect(loadModel(output).step).toBeGreaterThan(0);
});

test("a command ends by itself, on the GPU too, with the exit code of its error", async () => {
  const output = temporaryFolder();
  const argv = ["--device", "webgpu", "--steps", "3", "--num-samples", "1", "--output", output];
  const outcome = await finish(start("train", argv));
  expect(outcome.code).toBe(0);
  expect(readdirSync(output)).toHaveLength(5);
  expect((await finish(start("train", ["--seed", "x"]))).code).toBe(2);
  expect((await finish(start("info", ["--model-dir", join(output, "none")]))).code).toBe(1);
});

test.runIf(process.platform === "linux")(
  "without a GPU driver, auto says why it takes the CPU, and webgpu and doctor are sentences",
  async () => {
    const output = temporaryFolder();
    const noDriver = join(output, "none.json");
    writeFileSync(noDriver, "{}");
    const env = { VK_ICD_FILENAMES: noDriver, VK_DRIVER_FILES: noDriver };
    const argv = ["--steps", "2", "--num-samples", "1", "--output", output];

    const auto = await finish(start("train", argv, env));
    expect(auto.code).toBe(0);
    expect(auto.stdout).toMatch(/^device {2}CPU, in float64 \(auto: .*WebGPU.*\)$/m);
    const generated = await finish(start("generate", ["--model-dir", output], env));
    expect(generated.code).toBe(0);
    expect(generated.stderr).toMatch(/The CPU writes the texts: .*WebGPU/);

    for (const [name, flags] of [
      ["train", [...argv, "--device", "webgpu"]],
      ["doctor", []],
    ] as const) {
      const { code, stdout, stderr } = await finish(start(name, [...flags], env));
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toMatch(/^error: There is no WebGPU adapter: .*\.$/m);
    }
  },
);
