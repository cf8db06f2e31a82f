// `bench`: what its reports hold, and what it refuses; how fast anything is, no test says.

import { expect, test } from "vitest";
import { main as bench } from "../../cli/bench.ts";
import { humanReport } from "../../cli/bench_report.ts";
import { aligned, bytes, digits } from "../../cli/format.ts";
import { presetNames } from "../../src/presets.ts";
import type { Choice } from "../../src/tuning/tune.ts";
import { parseLines, runCli } from "./fake_io.ts";

const few = ["--preset", "tiny", "--steps", "3", "--warmup", "1", "--json"];

/** What the scripts for other libraries print, and what more there is to say of this one. */
const shared =
  "peer mode params layers embd heads block batch vocab first_step_ms ms_per_step tokens_per_s gflops loss_first loss_last";
const own =
  "engine dtype dtype_reason steps dispatches_per_step submits_per_step needed_bytes peak_bytes gpu_ms_per_step peak_fraction adapter";

test("--json is one line with the keys of the scripts for other libraries, and more", async () => {
  const { code, stdout, stderr } = await runCli(bench, few);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  const lines = parseLines(stdout);
  expect(lines).toHaveLength(1);
  const [line] = lines;
  expect(Object.keys(line).toSorted()).toEqual(`${shared} ${own}`.split(" ").toSorted());
  expect(line).toMatchObject({
    peer: expect.stringMatching(/^microgpt-webgpu \d+\.\d+\.\d+$/),
    mode: "webgpu",
    params: 4192,
    layers: 1,
    embd: 16,
    heads: 4,
    block: 16,
    batch: 32,
    vocab: 27,
    steps: 3,
    adapter: expect.any(String),
  });
  for (const key of ["first_step_ms", "ms_per_step", "tokens_per_s", "gflops", "peak_fraction"]) {
    expect(line[key]).toBeGreaterThan(0);
  }
  expect(line.dispatches_per_step).toBeLessThan(60);
  expect(line.submits_per_step).toBeLessThanOrEqual(1);
  expect(line.peak_bytes).toBeGreaterThan(4 * 4 * 4192);
  expect(line.peak_bytes).toBe(line.needed_bytes.f32);
  expect(line.loss_first).toBeCloseTo(Math.log(27), 0);
  expect(line.loss_last).not.toBe(line.loss_first);
});

test("both devices train the same: sizes can be chosen one by one", async () => {
  const sizes = ["--batch-size", "2", "--block-size", "5", "--n-embd", "8", "--vocab-size", "11"];
  const run = async (device: string) => {
    const { stdout } = await runCli(bench, [...few, ...sizes, "--device", device]);
    return parseLines(stdout)[0];
  };
  const [gpu, cpu] = [await run("webgpu"), await run("cpu")];
  expect(cpu).toMatchObject({ mode: "cpu", batch: 2, block: 5, embd: 8, vocab: 11 });
  expect(cpu).toMatchObject({
    adapter: null,
    peak_bytes: null,
    needed_bytes: null,
    dispatches_per_step: null,
  });
  expect(gpu.params).toBe(cpu.params);
  expect(gpu.loss_first).toBeCloseTo(cpu.loss_first, 5);
  expect(gpu.loss_last).toBeCloseTo(cpu.loss_last, 5);
});

test("--kernels shows every operation of the step with its share of the time", async () => {
  const { stdout } = await runCli(bench, [...few, "--kernels"]);
  const [{ operations, ceilings, dispatches_per_step }] = parseLines(stdout);
  expect(ceilings).toEqual({ gflops: expect.any(Number), gb_per_s: expect.any(Number) });
  const sum = (key: string) =>
    operations.reduce((sum: number, row: Record<string, number>) => sum + row[key], 0);
  expect(sum("calls")).toBe(dispatches_per_step);
  expect(sum("share")).toBeCloseTo(1, 4);
  expect(operations).toContainEqual(
    expect.objectContaining({ op: "adamw", gflops: null, gb_per_s: expect.any(Number) }),
  );
  expect(operations).toContainEqual(
    expect.objectContaining({ op: "matmul_forward", shape: "512 x 48 x 16", gb_per_s: null }),
  );
});

test("--explain tells the kernel of every product, why, and where that is remembered", async () => {
  const explain = [...few, "--explain", "--tuning", "off"];
  const [{ tuning }] = parseLines((await runCli(bench, [...explain, "--kernels"])).stdout);
  expect(tuning).toMatchObject({ id: expect.stringMatching(/^[0-9a-f]{12}$/), forgotten: null });
  expect(tuning.choices).toContainEqual(
    expect.objectContaining({ op: "matmul_forward", M: 512, N: 48, K: 16, by: "rule", ms: null }),
  );
  const people = await runCli(bench, [...explain.filter((flag) => flag !== "--json"), "--kernels"]);
  expect(people.stdout).toMatch(/^product +M x N x K +kernel +chosen +ms +next best +ms$/m);
  expect(people.stdout).toMatch(/^matmul_backward +512 x 16 x 48 +matmul\S* \d+x\d+ +by rule$/m);
  expect(people.stdout).toContain(process.env.MICROGPT_CACHE_DIR);
  const measured: Choice = {
    ...tuning.choices[0],
    by: "measurement",
    variant: "b",
    ms: { a: 3, b: 2 },
  };
  let text = "";
  const out = { write: (part: string) => (text += part) };
  const [result] = parseLines((await runCli(bench, few)).stdout) as Parameters<
    typeof humanReport
  >[1][];
  humanReport(out, result, undefined, { ...tuning, choices: [measured], forgotten: "no room" });
  expect(text).toMatch(/ b +measured now +2 +a +3$/m);
  expect(text).toContain("could not be remembered");
  humanReport(out, result, undefined, null);
  expect(text).toMatch(/no choice of kernels\.$/m);
});

test("for people there are tables", async () => {
  const { stdout } = await runCli(bench, [...few.slice(0, -1), "--kernels"]);
  expect(stdout).toMatch(/^model +4,192 parameters: 1 layer, 16 channels, 4 heads, context 16, /m);
  expect(stdout).toMatch(/^step +\S+ ms, median over 3 steps$/m);
  expect(stdout).toMatch(
    /^operation +shape +calls +ms each +ms +of step +GFLOP\/s +GB\/s +of best$/m,
  );
  expect(stdout).toMatch(/^matmul_forward +512 x 48 x 16 +1 +/m);
});

test("without --steps, as many are timed as fill a few seconds", async () => {
  const { stdout } = await runCli(bench, ["--preset", "tiny", "--device", "cpu"]);
  expect(stdout).toMatch(/^device +CPU, in float64$/m);
  expect(stdout).toMatch(/^step +\S+ ms, median over [1-9][\d,]+ steps$/m);
});

test("--suite microgpt is the benchmark of microgpt's translations", async () => {
  const { stdout } = await runCli(bench, ["--suite", "microgpt", "--json"]);
  const [suite] = parseLines(stdout);
  expect(suite).toMatchObject({ language: "typescript", version: expect.any(String) });
  expect(new Date(suite.timestamp).getTime()).toBeGreaterThan(0);
  expect(suite.benchmarks.map(({ name }: { name: string }) => name)).toEqual([
    "random_1m",
    "gauss_100k",
    "value_forward_10k",
    "value_backward_1k",
    "gpt_forward_10",
    "training_step_1",
  ]);
  for (const row of suite.benchmarks) {
    expect(row).toEqual({
      name: expect.any(String),
      description: expect.any(String),
      iterations: 1,
      time_ms: expect.any(Number),
      ops_per_sec: 1000 / row.time_ms,
    });
  }
  const people = await runCli(bench, ["--suite", "microgpt"]);
  expect(people.stdout).toMatch(/^random_1m +1M random\(\) calls/m);
});

test.each([
  {
    argv: ["--preset", "huge"],
    message: `There is no preset "huge" to measure; the presets are ${presetNames}.`,
  },
  {
    argv: ["--steps", "0"],
    message: `--steps is "0"; it must be a whole number of at least 1.`,
  },
  {
    argv: ["--warmup", "x"],
    message: `--warmup is "x"; it must be a whole number of at least 1.`,
  },
  {
    argv: ["--n-embd", "10"],
    message: `n_embd 10 cannot be split into n_head 4 equal heads; choose an n_embd that is a multiple of n_head, such as 12.`,
  },
  {
    argv: ["--kernels", "--device", "cpu"],
    message: `--kernels times operations on the GPU; leave it out, or choose another --device.`,
  },
  {
    argv: ["--tuning", "best"],
    message: `--tuning is "best"; it must be auto or off or measure.`,
  },
  {
    argv: ["--suite", "other"],
    message: `There is no suite "other"; the only one is microgpt.`,
  },
  {
    argv: ["--dtype", "f16", "--device", "cpu"],
    message: `With dtype f16 a GPU keeps activations and weights in half precision, but the CPU trains in float64. Choose dtype f32.`,
  },
  {
    argv: ["--suite", "microgpt", "--steps", "4"],
    message: `--steps does not go with --suite, whose pieces have their own sizes; leave it out.`,
  },
])("refuses $argv", async ({ argv, message }) => {
  const { code, stdout, stderr } = await runCli(bench, argv);
  expect(code).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toBe(`error: ${message}\n`);
});

test("numbers have the digits that count, columns the width of their widest cell", () => {
  expect([0.012345, 1.2345, 123.45, 1234.5, 0].map(digits)).toEqual([
    "0.0123",
    "1.23",
    "123",
    "1,235",
    "0",
  ]);
  expect([0, 1023, 1024, 1.5 * 2 ** 20, 2 ** 51].map(bytes)).toEqual([
    "0 bytes",
    "1,023 bytes",
    "1 KiB",
    "1.5 MiB",
    "2,048 TiB",
  ]);
  const rows = [
    ["name", "ms"],
    ["a", "1,000"],
  ];
  expect(aligned(rows, 1)).toBe("name     ms\na     1,000");
});
