// A run that is killed at any moment leaves a state to go on from that is whole, and no older than the interval.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadCheckpoint, loadModel } from "../../src/files/model_dir.node.ts";
import { PythonRandom } from "../../src/random.ts";
import { temporaryFolder } from "./fake_io.ts";

const root = join(import.meta.dirname, "../..");
const KILLS = 200;
/** Folders that are worked in at the same time. */
const LANES = 4;
const INTERVAL_MS = 5;

/** Characters: some hundred steps, of which many fit in the interval. */
const MOST_OUTPUT = 10_000;

/** Every line that a process prints begins with its own clock's time, in ms. */
const stamped =
  "data:text/javascript,const w=process.stdout.write.bind(process.stdout);" +
  "process.stdout.write=(text)=>w(performance.now()+' '+text);";

const { MICROGPT_INPUT: _, ...env } = process.env;

function begin(argv: string[]) {
  const child = spawn(
    process.execPath,
    [`--import=${stamped}`, join(root, "cli/start.js"), "train", ...argv],
    { env, stdio: ["ignore", "pipe", "pipe"] },
  );
  const outcome = { stdout: "", stderr: "" };
  child.stdout.on("data", (data) => (outcome.stdout += data));
  child.stderr.on("data", (data) => (outcome.stderr += data));
  return { child, outcome };
}

type Line = { at: number; type: string; step: number; steps?: number };

/** The whole lines that a process got out. */
function linesOf(stdout: string): Line[] {
  const lines = stdout.split("\n").slice(0, -1);
  return lines.map((line) => {
    const end = line.indexOf(" ");
    return { ...JSON.parse(line.slice(end)), at: Number(line.slice(0, end)) };
  });
}

/**
 * By the process's own clock, no step is begun once the interval has passed since the last save: so what a kill
 * takes is never more than the interval, and the step in which it passes.
 */
function expectSavesInTime(lines: Line[]): void {
  let first: Line | undefined; // step since the last save
  let previous: Line | undefined;
  for (const line of lines) {
    if (line.type === "save") first = previous = undefined;
    if (line.type !== "step") continue;
    if (first && previous) expect(previous.at - first.at).toBeLessThan(INTERVAL_MS);
    first ??= line;
    previous = line;
  }
}

/** Kills the runs in one folder, one after the other; returns how often a state was newer than the one before. */
async function killing(folder: string, kills: number, random: PythonRandom): Promise<number> {
  const argv = ["--device", "cpu"];
  argv.push("--steps", "1000000000", "--save-seconds", String(INTERVAL_MS / 1000));
  argv.push("--json", "--log-every", "1", "--output", folder);
  let advanced = 0;
  let state = { seed: 1, step: 0 };
  for (let kill = 0; kill < kills; kill++) {
    // Most go on; some begin anew, in the place of what is there.
    const seed = kill === 0 || random.random() < 0.1 ? kill + 1 : state.seed;
    const more =
      kill === 0 || seed !== state.seed ? ["--overwrite", "--seed", `${seed}`] : ["--resume"];
    const { child, outcome } = begin([...argv, ...more]);
    const closed = once(child, "close");
    // The first has begun before it is killed. Of the others some die as they start, most after some steps and saves.
    const early = kill > 0 && random.random() < 0.15;
    const enough = early ? 0 : MOST_OUTPUT * random.random();
    const begun = () => kill > 0 || outcome.stdout.includes(`"type":"step"`);
    while (outcome.stdout.length < enough || !begun()) await once(child.stdout, "data");
    await new Promise((resolve) => setTimeout(resolve, (early ? 200 : 10) * random.random()));
    const signal = (["SIGTERM", "SIGHUP"] as const)[Math.floor(20 * random.random())] ?? "SIGKILL";
    child.kill(signal);
    const [code] = await closed;
    expect(outcome.stderr).not.toContain("error");
    expect(code).toBeOneOf([null, { SIGTERM: 143, SIGHUP: 129, SIGKILL: null }[signal]]);

    const lines = linesOf(outcome.stdout);
    expectSavesInTime(lines);
    const run = loadCheckpoint(folder);
    const model = run.step > 0 ? loadModel(folder).step : 1;
    expect(model).toBeGreaterThan(0);
    expect([seed, state.seed]).toContain(run.config.seed);
    const before = run.config.seed === state.seed ? state.step : 0;
    expect(run.step).toBeGreaterThanOrEqual(before);
    if (run.step > before) advanced++;
    const saved = lines.findLast(({ type }) => type === "save")?.step ?? 0;
    expect(run.step).toBeGreaterThanOrEqual(saved);
    const ended = lines.findLast(({ type }) => type === "end")?.steps ?? run.step;
    expect(run.step).toBe(ended);
    state = { seed: run.config.seed, step: run.step };
  }
  if (state.step === 0) return advanced;
  // However often it was killed, every step up to the last save is there once.
  const metrics = readFileSync(join(folder, "metrics.jsonl"), "utf8").trimEnd().split("\n");
  const steps = metrics.slice(0, state.step).map((line) => JSON.parse(line).step);
  expect(steps).toEqual(Array.from({ length: state.step }, (_, i) => i + 1));
  return advanced;
}

test(`${KILLS} kills at random moments, by SIGKILL, SIGTERM and SIGHUP`, async () => {
  const random = new PythonRandom(2026);
  const lanes = Array.from({ length: LANES }, () =>
    killing(temporaryFolder(), KILLS / LANES, random),
  );
  const advanced = await Promise.all(lanes);
  expect(advanced.reduce((sum, n) => sum + n)).toBeGreaterThan(KILLS / 8);
}, 600_000);
