// A command as a process: exit codes, sentences, and a stdout that nobody reads.

import { EventEmitter } from "node:events";
import { describe, expect, test } from "vitest";
import { UsageError } from "../../cli/given.ts";
import { count, plural } from "../../src/count.ts";
import { watchOutput } from "../../cli/run.ts";
import { duration } from "../../src/duration.ts";
import { ConfigError, GpuError, UserError } from "../../src/errors.ts";
import { runCli } from "./fake_io.ts";

const failing = (error: unknown) => () => Promise.reject(error);

describe("a command that throws", () => {
  test.each<[string, unknown, number]>([
    ["a user's error", new UserError("No."), 1],
    ["a GPU's error", new GpuError("No."), 1],
    ["an error of usage", new UsageError("No."), 2],
    ["a setting out of range", new ConfigError("seed", "No."), 2],
  ])("%s ends with its sentence", async (_, error, code) => {
    const outcome = await runCli(failing(error), []);
    expect(outcome).toEqual({ code, stdout: "", stderr: "error: No.\n" });
  });

  test.each([
    [new TypeError("undefined is not"), /TypeError: undefined is not\n +at /],
    ["x", /x/],
  ])("anything else ends with a trace, as a bug", async (error, trace) => {
    const { code, stderr } = await runCli(failing(error), []);
    expect(code).toBe(1);
    expect(stderr).toMatch(trace);
    expect(stderr).toMatch(/\nerror: This is a bug of the program; .*\n$/);
  });
});

describe("a stdout that nobody reads any more", () => {
  class FakeProcess extends EventEmitter {
    readonly stdout = new EventEmitter();
    readonly stderr = Object.assign(new EventEmitter(), {
      text: "",
      write: (text: string) => (this.stderr.text += text),
    });
    exitCode: number | undefined;
    readonly exits: number[] = [];
    exit(code: number): void {
      this.exits.push(code);
    }
  }
  const broken = Object.assign(new Error("write EPIPE"), { code: "EPIPE" });

  function fakeProcess(): FakeProcess {
    const fake = new FakeProcess();
    watchOutput(fake as unknown as NodeJS.Process);
    return fake;
  }

  test("ends a command that has nothing to save", () => {
    const fake = fakeProcess();
    fake.stdout.emit("error", broken);
    expect(fake.exits).toEqual([141]);
  });

  test("is SIGPIPE, once, to a command that listens", () => {
    const fake = fakeProcess();
    let signals = 0;
    fake.on("SIGPIPE", () => signals++);
    fake.stdout.emit("error", broken);
    fake.stdout.emit("error", broken);
    fake.stderr.emit("error", broken);
    expect({ signals, exits: fake.exits }).toEqual({ signals: 1, exits: [] });
  });

  test.each([
    ["ENOSPC", "the disk is full"],
    ["EIO", "does not answer"],
    ["EFBIG", "larger than a file may be"],
  ])("where it fails by %s, ends nothing, and that is said once", (code, why) => {
    const fake = fakeProcess();
    let signals = 0;
    fake.on("SIGPIPE", () => signals++);
    const other = Object.assign(new Error("write"), { code });
    for (let i = 0; i < 3; i++) fake.stdout.emit("error", other);
    fake.stderr.emit("error", other);
    expect({ signals, exits: fake.exits, exitCode: fake.exitCode }).toEqual({
      signals: 0,
      exits: [],
      exitCode: 1,
    });
    expect(fake.stderr.text).toMatch(
      /^warning: The output cannot be written: .*\(E[A-Z]+\)\. The command goes on without it\.\n$/,
    );
    expect(fake.stderr.text).toContain(why);
  });
});

test("numbers are for people", () => {
  expect(count(1234567)).toBe("1,234,567");
  expect([plural(0, "step"), plural(1, "step"), plural(2, "step")]).toEqual([
    "0 steps",
    "1 step",
    "2 steps",
  ]);
  expect([0, 9.94, 9.96, 59.4, 60, 187, 7387].map(duration)).toEqual([
    "0.0 s",
    "9.9 s",
    "10 s",
    "59 s",
    "1:00 min",
    "3:07 min",
    "2:03:07 h",
  ]);
});
