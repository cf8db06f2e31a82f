// The commands under Deno, on its own WebGPU: they do what they do in Node.

import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { main as train } from "../../cli/train.ts";
import { loadCheckpoint } from "../../src/files/model_dir.node.ts";
import golden from "../golden/microgpt-names.json" with { type: "json" };
import { findDeno, finish, startDeno } from "../harness/deno.ts";
import { parseLines, runCli, temporaryFolder } from "./fake_io.ts";

const start = (argv: string[], env?: NodeJS.ProcessEnv) => startDeno("cli/start.js", argv, env);

/** What a command prints with --json, once it has ended well. */
async function lines(...argv: string[]) {
  const { code, stdout, stderr } = await finish(start([...argv, "--json"]));
  expect(code).toBe(0);
  expect(stderr).not.toMatch(/error|warning/i); // it may be told how far the compiling is
  return parseLines(stdout);
}

// Its compiler's kernels are new to the driver's cache.
const patience = { timeout: 300_000 };

describe.runIf(findDeno())("under Deno, where npm has it for this system", patience, () => {
  test("a run's losses and samples are microgpt.py's; generate, info", async () => {
    const output = temporaryFolder();
    const events = await lines(
      "train",
      "--device",
      "webgpu",
      "--log-every",
      "1",
      "--output",
      output,
    );
    expect(events[0]).toMatchObject({
      type: "start",
      device: "webgpu",
      adapter: expect.stringMatching(/\w.* through wgpu$/),
    });
    const losses = events.filter(({ type }) => type === "step").map(({ loss }) => loss);
    expect(losses).toHaveLength(golden.losses.length);
    const error = Math.max(...losses.map((loss, i) => Math.abs(loss - golden.losses[i])));
    expect(error).toBeLessThan(1e-5);
    const texts = events.filter(({ type }) => type === "sample").map(({ text }) => text);
    expect(texts).toEqual(golden.samples);

    const model = ["--model-dir", output];
    const written = await lines("generate", ...model, "--device", "webgpu", "--num-samples", "3");
    expect(written.filter(({ type }) => type === "sample")).toHaveLength(3);
    const info = await finish(start(["info", ...model]));
    expect(info).toMatchObject({ code: 0, stderr: "" });
    expect(info.stdout).toContain("4,192");
  });

  test("Ctrl-C saves, a resumed run goes on as it was; one that goes on in Node says that numbers will differ", async () => {
    const output = temporaryFolder();
    const argv = ["--device", "webgpu", "--num-samples", "1", "--json", "--output", output];
    const child = start(["train", ...argv, "--steps", "1000000", "--log-every", "10"]);
    const outcome = finish(child);
    await once(child.stdout!, "data"); // the start; the next ones are steps
    await once(child.stdout!, "data");
    child.kill("SIGINT");
    const { code, stderr } = await outcome;
    expect(code).toBe(130);
    expect(stderr).toContain("Stopping after the steps in flight");
    const { step } = loadCheckpoint(output);
    expect(step).toBeGreaterThan(0);

    const further = (steps: number) => [...argv, "--resume", "--steps", String(step + steps)];
    const [same] = parseLines((await finish(start(["train", ...further(3)]))).stdout);
    expect(same.resumed_from).toBe(step);
    expect(same.differences.join()).not.toContain("wgpu");
    const [other] = parseLines((await runCli(train, further(6))).stdout);
    expect(other.differences.join()).toMatch(
      /was trained by .* through wgpu .*numbers will differ/,
    );
  });

  test("bench, sweep, doctor, which says what implements WebGPU", async () => {
    const output = temporaryFolder();
    const [bench] = await lines(
      "bench",
      "--preset",
      "microgpt",
      "--device",
      "webgpu",
      "--steps",
      "3",
    );
    expect(bench.adapter).toMatch(/ through wgpu$/);
    expect(bench.ms_per_step).toBeGreaterThan(0);
    const two = ["--seed", "1,2", "--steps", "20", "--output", output];
    const sweep = await lines("sweep", "--device", "webgpu", ...two);
    expect(sweep.at(-1)).toMatchObject({ type: "end" });
    const [device, ...checks] = await lines("doctor", "--only", "step_record");
    expect(device).toMatchObject({ webgpu: expect.stringMatching(/^wgpu in Deno \d/) });
    expect(checks.at(-1)).toMatchObject({ failed: 0, certificate: null });
  });

  test("bad input is a sentence, with the command as it was started", async () => {
    const missing = await finish(start(["info", "--model-dir", "/nowhere"]));
    expect(missing.code).toBe(1);
    expect(missing.stderr).toMatch(/^error: .*\.\n$/);
    const help = await finish(start(["train", "--help"]));
    expect(help.stdout).toContain("Usage: deno run -A --unstable-webgpu ");
  });

  test.runIf(process.platform === "linux")(
    "without a GPU driver, auto says why it takes the CPU, and webgpu is a sentence",
    async () => {
      const output = temporaryFolder();
      const noDriver = join(output, "none.json");
      writeFileSync(noDriver, "{}");
      const env = { VK_ICD_FILENAMES: noDriver, VK_DRIVER_FILES: noDriver };
      const argv = ["train", "--steps", "2", "--num-samples", "1", "--output", output];
      const auto = await finish(start(argv, env));
      expect(auto.code).toBe(0);
      expect(auto.stdout).toMatch(/^device {2}CPU, in float64 \(auto: .*WebGPU.*\)$/m);
      const gpu = await finish(start([...argv, "--device", "webgpu"], env));
      expect(gpu).toMatchObject({ code: 1, stdout: "" });
      expect(gpu.stderr).toMatch(/^error: There is no WebGPU adapter: .*\.$/m);
    },
  );
});
