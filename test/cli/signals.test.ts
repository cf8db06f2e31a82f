// What ends a process from outside, and a terminal or a disk behind its output that is gone: the run is saved, and
// says so where anybody can read it.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { LOCK_FILE } from "../../cli/lock.ts";
import { loadCheckpoint, loadModel } from "../../src/files/model_dir.node.ts";
import { temporaryFolder } from "./fake_io.ts";

const root = join(import.meta.dirname, "../..");
const train = join(root, "cli/train.ts");
const quick = ["--device", "cpu", "--num-samples", "1", "--log-every", "10"];
const endless = [...quick, "--steps", "1000000000"];

const has = (program: string) => spawnSync("which", [program]).status === 0;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** The process that is at work in a folder. */
const holder = (output: string): number =>
  JSON.parse(readFileSync(join(output, LOCK_FILE), "utf8")).pid;

/** A run that trains in a folder, once it does. */
async function training(output: string): Promise<void> {
  const metrics = join(output, "metrics.jsonl");
  onTestFinished(() => {
    if (existsSync(join(output, LOCK_FILE))) process.kill(holder(output), "SIGKILL");
  });
  await until(() => existsSync(metrics) && readFileSync(metrics).length > 0);
}

/** Ended in order, whatever became of its parents: nothing is left of it but its work. */
async function ended(output: string): Promise<void> {
  await until(() => !existsSync(join(output, LOCK_FILE)));
}

describe.runIf(process.platform === "linux")("SIGHUP", () => {
  test("is SIGTERM to a run under nohup: saved, and 129", async () => {
    const output = join(temporaryFolder(), "o");
    const argv = [process.execPath, train, ...endless, "--output", output];
    const child = spawn("nohup", argv, { stdio: ["ignore", "pipe", "pipe"] });
    let stderr = "";
    child.stderr.on("data", (data) => (stderr += data));
    child.stdout.resume();
    await training(output);
    child.kill("SIGHUP");
    const [code] = await once(child, "close");
    expect(code).toBe(129);
    expect(stderr).toContain("Stopping after the steps in flight");
    expect(loadModel(output).step).toBeGreaterThan(0);
  });

  test("comes through npm too", async () => {
    const output = join(temporaryFolder(), "o");
    const argv = ["run", "train", "--", ...endless, "--output", output];
    const child = spawn("npm", argv, { cwd: root, stdio: "ignore", detached: true });
    await training(output);
    process.kill(-child.pid!, "SIGHUP"); // as a terminal that closes
    await once(child, "close");
    await ended(output);
    expect(loadModel(output).step).toBeGreaterThan(0);
  });
});

describe.runIf(process.platform === "linux" && has("script"))("a terminal that is closed", () => {
  /** Runs a command in a terminal of its own, which is closed once it trains. */
  async function inTerminal(command: string, output: string): Promise<void> {
    const line = `${command} ${process.execPath} ${train} ${endless.join(" ")} --output ${output}`;
    const cwd = dirname(output); // nohup writes there
    const terminal = spawn("script", ["-qfc", line, "/dev/null"], { cwd, stdio: "ignore" });
    await training(output);
    terminal.kill("SIGKILL");
    await once(terminal, "close");
  }

  test.each(["", "nohup", "sh -c '\"$@\" & wait' sh"])(
    "ends the run, and it is saved: %s",
    async (command) => {
      const output = join(temporaryFolder(), "o");
      await inTerminal(command, output);
      await ended(output);
      expect(loadModel(output).step).toBeGreaterThan(0);
    },
  );

  test("is none to a run in a session of its own: it goes on in silence", async () => {
    const output = join(temporaryFolder(), "o");
    await inTerminal("setsid -w", output);
    const before = readFileSync(join(output, "metrics.jsonl")).length;
    await until(() => readFileSync(join(output, "metrics.jsonl")).length > before);
    process.kill(holder(output), "SIGTERM");
    await ended(output);
    expect(loadModel(output).step).toBeGreaterThan(0);
  });
});

describe.runIf(existsSync("/dev/full"))("a disk that is full behind the output", () => {
  async function run(argv: string[], stdout: number) {
    const child: ChildProcess = spawn(process.execPath, argv, {
      stdio: ["ignore", stdout, "pipe"],
    });
    let stderr = "";
    child.stderr!.on("data", (data) => (stderr += data));
    const [code] = await once(child, "close");
    closeSync(stdout);
    return { code, stderr };
  }
  const warning =
    "warning: The output cannot be written: the disk is full (ENOSPC). The command goes on without it.\n";

  test("ends no run: trained to the end, saved, and told on standard error", async () => {
    const output = temporaryFolder();
    const argv = [train, ...quick, "--steps", "300", "--json", "--output", output];
    const outcome = await run(argv, openSync("/dev/full", "w"));
    expect(outcome).toEqual({ code: 1, stderr: warning });
    expect(loadCheckpoint(output).step).toBe(300);
  });

  test("is told by every command's exit code", async () => {
    const argv = [join(root, "cli/info.ts"), "--n-layer", "1"];
    const outcome = await run(argv, openSync("/dev/full", "w"));
    expect(outcome).toEqual({ code: 1, stderr: warning });
  });
});

describe.runIf(has("bash"))("a file that may not grow (ulimit -f)", () => {
  test("refuses the run before its first step", async () => {
    const output = join(temporaryFolder(), "o");
    const argv = `${process.execPath} ${train} ${quick.join(" ")} --steps 300 --output ${output}`;
    const refused = spawnSync("bash", ["-c", `ulimit -f 20; exec ${argv}`], { encoding: "utf8" });
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(
      /^error: No model can be saved in .*: it would be larger than a file may be here \(EFBIG\)/,
    );
    expect(existsSync(join(output, "training.safetensors"))).toBe(false);
  });
});
