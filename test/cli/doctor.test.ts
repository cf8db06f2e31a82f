// `doctor`: the rows of a report, and its exit code.

import { expect, test } from "vitest";
import { checkAll, humanReport, jsonReport, main as doctor } from "../../cli/doctor.ts";
import type { CheckResult } from "../../src/verify/certify.ts";
import { FakeIo, parseLines, runCli } from "./fake_io.ts";

test("doctor certifies the device of this machine", async () => {
  // The parity tests run the rest of its checks.
  const { code, stdout } = await runCli(doctor, ["--json", "--only", "embedding"]);
  const events = parseLines(stdout);
  expect(events.filter(({ type, pass }) => type === "check" && !pass)).toEqual([]);
  expect(events[0]).toMatchObject({
    type: "device",
    name: expect.any(String),
    info: { vendor: expect.any(String) },
    features: expect.any(Array),
    limits: { maxBufferSize: expect.any(Number) },
  });
  const checks = events.filter(({ type }) => type === "check");
  expect(checks.length).toBe(28);
  expect(events.at(-1)).toEqual({ type: "end", passed: checks.length, failed: 0 });
  expect(code).toBe(0);
});

test("a name that no check has is no pass", async () => {
  const { code, stdout } = await runCli(doctor, ["--only", "convolution"]);
  expect(stdout).toMatch(/No check has that name\.\n$/);
  expect(code).toBe(1);
});

test("doctor is about WebGPU: the CPU is not on offer", async () => {
  const { code, stderr } = await runCli(doctor, ["--device", "cpu"]);
  expect(code).toBe(2);
  expect(stderr).toBe(`error: --device is "cpu"; it must be auto or webgpu.\n`);
});

const check = (pass: boolean, error: number, detail?: string): CheckResult => ({
  type: "check",
  kernel: "rmsnorm_forward",
  case: "N 7, C 33",
  error,
  allowed: 1e-6,
  pass,
  detail,
});

async function* checks(...results: CheckResult[]) {
  yield* results;
}

test("a check is a row with the error found, the error allowed and the case", async () => {
  const { stdout } = new FakeIo();
  const report = humanReport(stdout);
  const info = { vendor: "acme", architecture: "", device: "", description: "" } as GPUAdapterInfo;
  const limits = { maxBufferSize: 4096 };
  report.device({ name: "Acme 1", info, features: ["a", "b"], limits, lanes: 32 });
  expect(await checkAll(checks(check(true, 1.26e-7)), report)).toBe(true);
  expect(stdout.text).toBe(
    [
      "adapter   Acme 1, acme",
      "features  a, b",
      "subgroups 32 lanes, no matrix units",
      "limits    maxBufferSize 4,096",
      "",
      "kernel                               error   allowed          case",
      "rmsnorm_forward                     1.3e-7    1.0e-6  ok      N 7, C 33",
      "1 check passed",
      "",
    ].join("\n"),
  );
});

test("a check that fails shows its detail and makes the whole fail, NaN included", async () => {
  const { stdout } = new FakeIo();
  const results = checks(check(true, 0), check(false, Number.NaN, "row 3"), check(false, 1));
  expect(await checkAll(results, humanReport(stdout))).toBe(false);
  expect(stdout.text).toMatch(/NaN {4}1\.0e-6 {2}FAILED {2}N 7, C 33: row 3\n/);
  expect(stdout.text).toMatch(/1\.0e\+0 {4}1\.0e-6 {2}FAILED {2}N 7, C 33\n/);
  expect(stdout.text).toMatch(/\n2 of 3 checks failed\n$/);

  const json = new FakeIo().stdout;
  expect(await checkAll(checks(check(false, 1)), jsonReport(json))).toBe(false);
  expect(parseLines(json.text).at(-1)).toEqual({ type: "end", passed: 0, failed: 1 });
});
