// `doctor`: the rows of a report, and its exit code.

import { platform } from "#platform";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { Countdown } from "../../cli/countdown.ts";
import { examine, humanReport, jsonReport, main as doctor } from "../../cli/doctor.ts";
import { type Certificate, recallCertificate } from "../../src/device/certificate.ts";
import { type CheckResult, countChecks, modelsFor } from "../../src/verify/certify.ts";
import { device } from "../harness/device.ts";
import { FakeIo, parseLines, runCli, temporaryFolder } from "./fake_io.ts";

let place: string;
beforeEach(() => {
  const folder = temporaryFolder();
  place = join(folder, "certificates.json");
  vi.stubEnv("MICROGPT_CACHE_DIR", folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

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
  expect(checks.length).toBe(76);
  const nothing = { certificate: null, memory: "unchanged", place, failure: null };
  expect(events.at(-1)).toEqual({ type: "end", passed: checks.length, failed: 0, ...nothing });
  expect(code).toBe(0);
  expect(existsSync(place)).toBe(false); // a part of the checks certifies nothing
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

type Report = ReturnType<typeof humanReport>;

/** Reports checks that come to these results, all or a part of them; the exit code. */
const report = (to: Report, results: CheckResult[], only?: string) =>
  examine(device, only, to, checks(...results));

test("a check is a row with the error found, the error allowed and the case", async () => {
  const { stdout } = new FakeIo();
  const rows = humanReport(stdout);
  const info = { vendor: "acme", architecture: "", device: "", description: "" } as GPUAdapterInfo;
  const limits = { maxBufferSize: 4096 };
  const features = ["a", "b"];
  rows.device({ name: "Acme 1", info, features, limits, lanes: 32, matrixFault: undefined });
  expect(await report(rows, [check(true, 1.26e-7)], "rmsnorm")).toBe(0);
  expect(stdout.text).toBe(
    [
      "adapter   Acme 1, acme",
      `webgpu    ${platform.versions().webgpu}`,
      "features  a, b",
      "subgroups 32 lanes, no matrix units",
      "limits    maxBufferSize 4,096",
      "",
      "kernel                               error   allowed          case",
      "rmsnorm_forward                     1.3e-7    1.0e-6  ok      N 7, C 33",
      "1 check passed",
      `Nothing was remembered in ${place}: a certificate takes all checks, without --only.`,
      "",
    ].join("\n"),
  );
});

test("a check that fails shows its detail and makes the whole fail, NaN included", async () => {
  const { stdout } = new FakeIo();
  const results = [check(true, 0), check(false, Number.NaN, "row 3"), check(false, 1)];
  expect(await report(humanReport(stdout), results)).toBe(1);
  expect(stdout.text).toMatch(/NaN {4}1\.0e-6 {2}FAILED {2}N 7, C 33: row 3\n/);
  expect(stdout.text).toMatch(/1\.0e\+0 {4}1\.0e-6 {2}FAILED {2}N 7, C 33\n/);
  expect(stdout.text).toMatch(/\n2 of 3 checks failed\nNo certificate is remembered in .*\n$/);

  const json = new FakeIo().stdout;
  expect(await report(jsonReport(json), [check(false, 1)])).toBe(1);
  expect(parseLines(json.text).at(-1)).toMatchObject({ type: "end", passed: 0, failed: 1 });
});

test.each([
  [["f32"], "f32 certified", "f32 here."],
  [["f32", "f16"], "f32 and f16 certified", "f16 here, for all but small models."],
] as const)("all checks passed: what is remembered, and where: %j", async (dtypes, what, auto) => {
  const results = dtypes.map((dtype) => ({ ...check(true, 0), dtype }));
  const { stdout } = new FakeIo();
  expect(await report(humanReport(stdout), [check(true, 0), ...results])).toBe(0);
  const certificate = await recallCertificate(device);
  expect(certificate).toEqual({ date: expect.stringMatching(/^\d{4}-\d\d-\d\d$/), dtypes });
  expect(stdout.text).toContain(
    `checks passed\nRemembered in ${place}: ${what} on ${certificate!.date} for ${platform.versions().webgpu}. --dtype auto takes ${auto}\n`,
  );
  expect(existsSync(place)).toBe(true);
  const json = new FakeIo().stdout;
  await report(jsonReport(json), results);
  const end = { type: "end", certificate, memory: "remembered", place, failure: null };
  expect(parseLines(json.text).at(-1)).toMatchObject(end);
});

test("the reports tell what became of an earlier certificate, and what could not be done", () => {
  const certificate: Certificate = { date: "2026-11-24", dtypes: ["f32"] };
  const counts = { passed: 5, failed: 0, place };
  const said = (change: Partial<Parameters<Report["end"]>[0]>) => {
    const { stdout } = new FakeIo();
    const unchanged = { certificate: null, memory: "unchanged", failure: null } as const;
    humanReport(stdout).end({ ...counts, ...unchanged, ...change });
    return stdout.text.split("\n")[1];
  };
  expect(said({ failed: 1, memory: "removed" })).toBe(
    `The earlier certificate was removed from ${place}.`,
  );
  expect(said({ certificate, failure: "read-only" })).toBe(
    `The certificate could not be remembered in ${place}: read-only.`,
  );
  expect(said({ failed: 1, failure: "read-only" })).toBe(
    `The earlier certificate could not be removed from ${place}; delete that file: read-only.`,
  );
});

test("how many checks are left is written over on a terminal, above it the rows; elsewhere it is told now and then", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  onTestFinished(() => void vi.useRealTimers());
  for (const isTTY of [true, false]) {
    const { stderr: out } = new FakeIo();
    out.isTTY = isTTY;
    out.columns = 30;
    const countdown = new Countdown(out, 3);
    for (const [ms, row] of [
      [2000, "a\n"],
      [10_000, "b\n"],
      [1000, "c\n"],
    ] as const) {
      vi.advanceTimersByTime(ms);
      countdown.next(() => out.write(row));
    }
    countdown.end();
    const erased = "\r\x1b[K";
    expect(out.text).toBe(
      isTTY
        ? `${erased}a\n1 of 3 checks, about 4.0 s le${erased}b\n2 of 3 checks, about 6.0 s le${erased}c\n${erased}`
        : "a\nb\n2 of 3 checks, about 6.0 s left\nc\n",
    );
  }
});

test("it is known beforehand how many checks there are", () => {
  expect(countChecks(device, "embedding")).toBe(76); // as many as were run above
  expect(countChecks(device, "gradients")).toBe(modelsFor(device).length);
  expect(countChecks(device, "convolution")).toBe(0);
  expect(countChecks(device)).toBeGreaterThan(300);
});
