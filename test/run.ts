// The project's test command: npm test [-- filter…].
//
// Checks lint, format, types, unused code, licences, and that package and documentation can be made; then finds a GPU
// and a browser and runs the tests with coverage. Arguments go to Vitest, and then only the tests run: `npm test -- rmsnorm`.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findBrowser } from "./harness/browser.ts";
import { findGpu } from "./harness/gpu.ts";
import { closingLines, type Outcome } from "./harness/outcome.ts";
import { root } from "./harness/unpack.ts";

const args = process.argv.slice(2);
const tool = (path: string) => join(root, "node_modules", path);

if (args.length === 0) {
  check("lint", [tool("oxlint/bin/oxlint"), "--deny-warnings"]);
  check("format", [tool("oxfmt/bin/oxfmt"), "--check"], "`npm run format` mends this.");
  check("types", [tool("typescript/bin/tsc")]);
  check("unused code", [tool("knip/bin/knip.js"), "--no-progress"]);
  check("licences", ["test/harness/licenses.ts"]);
  check("package", ["cli/package/build.ts"]);
  const typedoc = ["--import", "./test/docs/typescript.js", tool("typedoc/bin/typedoc")];
  check("documentation", [...typedoc, "--tsconfig", "test/docs/tsconfig.json", "--emit", "none"]);
}

// Named by the process: several runs may share a working tree.
const results = join(tmpdir(), `microgpt-test-${process.pid}.json`);
try {
  const gpu = findGpu();
  const browser = findBrowser();
  console.log(`GPU in Node: ${gpu.name}\nBrowser: ${browser.executablePath}`);
  process.exitCode = await runTests({ ...process.env, ...gpu.env });
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
} finally {
  rmSync(results, { force: true });
}

/** Runs a program in Node: a line when it succeeds, its output and the end of everything when it does not. */
function check(name: string, argv: string[], hint = ""): void {
  const start = performance.now();
  const child = spawnSync(process.execPath, argv, { cwd: root, encoding: "utf8" });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (child.status === 0) {
    console.log(`${name}: ok (${seconds} s)`);
  } else {
    console.error(`${child.stdout}${child.stderr}${name}: failed (${seconds} s). ${hint}`);
    process.exit(1);
  }
}

/** The exit code. */
async function runTests(env: NodeJS.ProcessEnv): Promise<number> {
  // A part of the tests covers a part of the code: the threshold is for all of them.
  const coverage = args.length === 0 || args.some((arg) => arg.startsWith("--coverage"));
  const options = [
    "run",
    "--config=test/vitest.config.ts",
    `--coverage.enabled=${coverage}`,
    "--reporter=default",
    `--reporter=${join(root, "test/harness/reporter.ts")}`,
  ];
  const child = spawn(process.execPath, [tool("vitest/vitest.mjs"), ...options, ...args], {
    cwd: root,
    env: { ...env, VITEST_OUTCOME_FILE: results },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const [code] = await once(child, "close");
  if (!existsSync(results)) throw new Error("Vitest ended before it ran any test.");
  const outcome: Outcome = JSON.parse(readFileSync(results, "utf8"));
  console.log(closingLines(outcome).join("\n"));
  return code ?? 1;
}
