// Vitest's reporter for the test command: how far the tests are while they run, and in the end what came of them all,
// suites that failed before their tests and errors outside of any test included.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Reporter, TestModule, TestSpecification } from "vitest/node";
import { duration } from "../../src/duration.ts";
import type { Outcome } from "./outcome.ts";
import { cache, root } from "./unpack.ts";

/** Time between two lines of progress, in ms. */
const UPDATE_MS = 10_000;

const memory = join(cache, "durations.json");

type SuiteOrTest = TestModule["children"] extends Iterable<infer Child> ? Child : never;

export default class implements Reporter {
  /** Milliseconds of each file in the last run, and in this one. */
  private readonly before = recall();
  private readonly now: Record<string, number> = {};
  private readonly startedAt = performance.now();
  private shownAt = 0;
  private files: string[] = [];

  onTestRunStart(specifications: readonly TestSpecification[]): void {
    this.files = specifications.map(({ project, moduleId }) => `${project.name} ${moduleId}`);
    this.shownAt = performance.now();
  }

  onTestModuleEnd(module: TestModule): void {
    this.now[`${module.project.name} ${module.moduleId}`] = module.diagnostic().duration;
    const now = performance.now();
    const done = Object.keys(this.now).length;
    if (now - this.shownAt < UPDATE_MS || done === this.files.length) return;
    this.shownAt = now;
    const left = timeLeft(this.files, this.before, this.now, now - this.startedAt);
    process.stdout.write(
      `   ${done} of ${this.files.length} files done, about ${duration(left / 1000)} left\n`,
    );
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly { message: string }[]): void {
    remember({ ...this.before, ...this.now });
    const outcome: Outcome = { passed: 0, skipped: 0, failures: [] };
    for (const module of modules)
      add(outcome, module, `${module.project.name} ${module.relativeModuleId}`);
    for (const error of errors) outcome.failures.push(failure("outside of the tests", [error]));
    const file = process.env.VITEST_OUTCOME_FILE;
    if (file) writeFileSync(file, JSON.stringify(outcome));
  }
}

/** Adds what came of a suite's own code, and of all in it. */
function add(
  outcome: Outcome,
  suite: TestModule | Exclude<SuiteOrTest, { type: "test" }>,
  name: string,
): void {
  const errors = suite.errors();
  if (errors.length > 0) outcome.failures.push(failure(name, errors));
  for (const child of suite.children) {
    const childName = `${name} > ${child.name}`;
    if (child.type === "suite") {
      add(outcome, child, childName);
      continue;
    }
    const { state, errors } = child.result();
    if (state === "passed") outcome.passed++;
    else if (state === "failed") outcome.failures.push(failure(childName, errors));
    else outcome.skipped++; // or never run, as the suite around it failed
  }
}

function failure(
  name: string,
  errors: readonly { message: string }[],
): Outcome["failures"][number] {
  return { name, message: errors.map(({ message }) => message).join("\n") };
}

/**
 * Milliseconds that the files which are not done will take: as long as the last time, times how much slower this run
 * is than the last one was; a file that is not known takes as long as the others on average.
 */
export function timeLeft(
  files: readonly string[],
  before: Readonly<Record<string, number>>,
  now: Readonly<Record<string, number>>,
  elapsed: number,
): number {
  const known = files.filter((file) => file in before).map((file) => before[file]);
  const mean = known.length > 0 ? known.reduce((sum, ms) => sum + ms, 0) / known.length : 1;
  const expected = (some: readonly string[]) =>
    some.reduce((sum, file) => sum + (before[file] ?? mean), 0);
  const done = expected(files.filter((file) => file in now));
  return (elapsed / Math.max(done, 1)) * (expected(files) - done);
}

function recall(): Record<string, number> {
  try {
    return JSON.parse(readFileSync(memory, "utf8"));
  } catch {
    return {};
  }
}

function remember(durations: Record<string, number>): void {
  const own = Object.entries(durations).filter(([file]) => file.includes(`${root}test`));
  mkdirSync(dirname(memory), { recursive: true });
  writeFileSync(memory, JSON.stringify(Object.fromEntries(own)));
}
