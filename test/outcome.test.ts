// The test command's own last lines: everything that failed is in them, whatever way it failed.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { forbiddenLicenses } from "./harness/licenses.ts";
import { closingLines } from "./harness/outcome.ts";
import { timeLeft } from "./harness/reporter.ts";
import { root } from "./harness/unpack.ts";

/** Files, by name, that Vitest runs with our reporter. */
function outcomeOf(files: Record<string, string>) {
  const folder = mkdtempSync(join(tmpdir(), "microgpt-outcome-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "junction");
  for (const [name, text] of Object.entries(files)) {
    const head = `import { beforeAll, describe, expect, test } from "vitest";\n`;
    writeFileSync(join(folder, `${name}.test.ts`), head + text);
  }
  const results = join(folder, "outcome.json");
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const reporter = join(root, "test/harness/reporter.ts");
  const argv = [vitest, "run", "--root", folder, `--reporter=${reporter}`];
  const env = { ...process.env, VITEST_OUTCOME_FILE: results, VITEST: undefined };
  const { status } = spawnSync(process.execPath, argv, { env, encoding: "utf8", cwd: folder });
  return { status, lines: closingLines(JSON.parse(readFileSync(results, "utf8"))) };
}

test("suites that fail before their tests, errors outside of tests and files that do not load count", () => {
  const { status, lines } = outcomeOf({
    // Files of a run of its own; one test is skipped there, to be counted as such.
    a: `test("passes", () => {}); test("fails", () => expect(1).toBe(2)); test.skip("skipped", () => {});`,
    b: `describe("suite", () => {
          beforeAll(() => new Promise(() => {}), 20);
          test("never", () => {});
          test("never either", () => {});
        });`,
    c: `beforeAll(() => { throw new Error("no device"); }); test("never", () => {});`,
    d: `throw new Error("not loaded");`,
    e: `test("passes", async () => {
          setTimeout(() => { throw new Error("later"); });
          Promise.reject(new Error("unhandled"));
          await new Promise((resolve) => setTimeout(resolve, 50));
        });`,
  });
  expect(status).toBe(1);
  expect(lines.at(-1)).toBe("2 passed, 6 failed, 4 skipped");
  const told = lines.filter((line) => line.startsWith("failed: ")).sort();
  expect(told).toEqual([
    expect.stringMatching(/a\.test\.ts > fails$/),
    expect.stringMatching(/b\.test\.ts > suite$/),
    expect.stringMatching(/c\.test\.ts$/),
    expect.stringMatching(/d\.test\.ts$/),
    "failed: outside of the tests",
    "failed: outside of the tests",
  ]);
  for (const words of ["expected 1 to be 2", "timed out", "no device", "not loaded", "later"]) {
    expect(lines.join("\n")).toContain(words);
  }
});

test("all is well where all passed", () => {
  const { status, lines } = outcomeOf({ a: `test("passes", () => {});` });
  expect({ status, lines }).toEqual({ status: 0, lines: ["1 passed, 0 failed"] });
});

test("of many failures and of long ones the first lines are told", () => {
  const failures = Array.from({ length: 25 }, (_, i) => ({
    name: `t${i}`,
    message: "1\n\n2\n3\n4",
  }));
  const lines = closingLines({ passed: 1, skipped: 0, failures });
  expect(lines.slice(0, 5)).toEqual(["failed: t0", "  1", "  2", "  3", "failed: t1"]);
  expect(lines.slice(-2)).toEqual(["… and 5 more", "1 passed, 25 failed"]);
});

test("the time left is that of the last run, at the speed of this one", () => {
  const before = { a: 1000, b: 3000 };
  expect(timeLeft(["a", "b"], before, { a: 2000 }, 2000)).toBe(6000);
  expect(timeLeft(["a", "b", "new"], before, { a: 2000 }, 2000)).toBe(10_000); // as the mean
  expect(timeLeft(["x", "y", "z"], {}, { x: 5 }, 500)).toBe(1000);
});

test.each([
  ["MIT", []],
  ["(MIT OR GPL-3.0)", []],
  ["MIT AND Zlib", ["p 1.0.0: MIT AND Zlib"]],
  ["GPL-3.0", ["p 1.0.0: GPL-3.0"]],
  [undefined, ["p 1.0.0: none"]],
])("the licence %s", (license, lines) => {
  expect(
    forbiddenLicenses({ "node_modules/a/node_modules/p": { version: "1.0.0", license } }),
  ).toEqual(lines);
});
