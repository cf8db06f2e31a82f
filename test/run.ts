// The project's test command: npm test [-- filter…].
//
// Runs lint, format, types and unused-code checks, then finds a GPU and a browser and runs the tests
// with coverage. Arguments go to Vitest, and then only the tests run: `npm test -- rmsnorm`.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findBrowser } from "./harness/browser.ts";
import { findGpu } from "./harness/gpu.ts";
import { root } from "./harness/unpack.ts";

const args = process.argv.slice(2);
const tool = (path: string) => join(root, "node_modules", path);

if (args.length === 0) {
  check("lint", "oxlint/bin/oxlint", ["--deny-warnings"]);
  check("format", "oxfmt/bin/oxfmt", ["--check"], "`npm run format` mends this.");
  check("types", "typescript/bin/tsc", []);
  check("unused code", "knip/bin/knip.js", ["--no-progress"]);
}

// Named by the process: several runs may share a working tree.
const results = join(tmpdir(), `microgpt-test-${process.pid}.json`);
try {
  const gpu = findGpu();
  const browser = findBrowser();
  console.log(`GPU in Node: ${gpu.name}\nBrowser: ${browser.executablePath}`);
  process.exitCode = await runTests({ ...process.env, ...gpu.env });
  console.log(closingLine());
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
} finally {
  rmSync(results, { force: true });
}

/** Runs one tool: a line when it succeeds, its output and the end of everything when it does not. */
function check(name: string, path: string, options: string[], hint = ""): void {
  const start = performance.now();
  const child = spawnSync(process.execPath, [tool(path), ...options], {
    cwd: root,
    encoding: "utf8",
  });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (child.status === 0) {
    console.log(`${name}: ok (${seconds} s)`);
  } else {
    console.error(`${child.stdout}${child.stderr}${name}: failed (${seconds} s). ${hint}`);
    process.exit(1);
  }
}

function runTests(env: NodeJS.ProcessEnv): Promise<number> {
  // A part of the tests covers a part of the code: the threshold is for all of them.
  const coverage = args.length === 0 || args.some((arg) => arg.startsWith("--coverage"));
  const options = [
    "run",
    "--config=test/vitest.config.ts",
    `--coverage.enabled=${coverage}`,
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${results}`,
  ];
  const child = spawn(process.execPath, [tool("vitest/vitest.mjs"), ...options, ...args], {
    cwd: root,
    env,
    stdio: ["ignore", "inherit", "inherit"],
  });
  return new Promise((resolve) => child.on("close", (code) => resolve(code ?? 1)));
}

/** The last line of the output, made from Vitest's JSON report: `12 passed, 0 failed`. */
function closingLine(): string {
  if (!existsSync(results)) throw new Error("Vitest ended before it ran any test.");
  const report = JSON.parse(readFileSync(results, "utf8"));
  // A file that cannot be loaded has no tests that could fail: it counts as one.
  const unloaded = report.testResults.filter(
    (file: { status: string; assertionResults: unknown[] }) =>
      file.status === "failed" && file.assertionResults.length === 0,
  ).length;
  const skipped = report.numPendingTests + report.numTodoTests;
  const line = `${report.numPassedTests} passed, ${report.numFailedTests + unloaded} failed`;
  return skipped > 0 ? `${line}, ${skipped} skipped` : line;
}
