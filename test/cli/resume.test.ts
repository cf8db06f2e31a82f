// `train --resume`: the output of a run that was stopped, killed or lost its GPU, and of the rest of it, is that of a
// run in one piece; and a sentence, with nothing lost, for what cannot be resumed.

import { readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { loadCheckpoint, saveModel } from "../../src/files/model_dir.node.ts";
import { main as train } from "../../cli/train.ts";
import { Device } from "../../src/device/device.ts";
import { GpuError } from "../../src/errors.ts";
import { FakeIo, parseLines, runCli, temporaryFolder } from "./fake_io.ts";

const verse = "so much depends\nupon\na red wheel\nbarrow\n".repeat(8);

function textFile(text = verse): string {
  const path = join(temporaryFolder(), "verse.txt");
  writeFileSync(path, text);
  return path;
}

const settings = ["--steps", "40", "--num-samples", "2", "--val-fraction", "0.2"];
const told = ["--eval-every", "9", "--json", "--log-every", "1"];

type Event = Record<string, any>;
const without = (events: Event[]) => events.filter(({ type }) => !/start|save|end/.test(type));

/** Every file of a folder, in base64, which is easier to compare. */
function contents(folder: string): Record<string, string> {
  const names = readdirSync(folder).sort();
  return Object.fromEntries(
    names.map((name) => [name, readFileSync(join(folder, name), "base64")]),
  );
}

async function run(argv: string[], io = new FakeIo()) {
  const { code, stdout, stderr } = await runCli(train, argv, {}, io);
  return { code, stderr, events: stdout === "" ? [] : parseLines(stdout) };
}

/** Sends a signal after a step. */
function stopping(step: number): FakeIo {
  const io = new FakeIo();
  io.stdout.onWrite = (text) => {
    if (text.includes(`"type":"step","step":${step},`)) io.emit("SIGINT");
  };
  return io;
}

test.each([
  ["cpu", []],
  ["webgpu", []],
  ["webgpu", ["--n-embd", "48", "--format", "text", "--batch-size", "2"]],
])(
  "Ctrl-C, twice, and --resume: the same lines and the same files: %s %j",
  async (device, more) => {
    const [whole, parts] = [temporaryFolder(), temporaryFolder()];
    const argv = [...settings, ...told, ...more, "--device", device, "--input", textFile()];
    const reference = await run([...argv, "--output", whole]);

    const mine = [...argv, "--output", parts];
    const first = await run(mine, stopping(2));
    expect(first.code).toBe(130);
    const second = await run([...mine, "--resume"], stopping(21));
    expect(second).toMatchObject({ code: 130, stderr: expect.stringContaining("Stopping") });
    // The shortest way: settings, device and text are the run's own.
    const last = await run(["--output", parts, "--resume", "--json", "--log-every", "1"]);
    expect(last).toMatchObject({ code: 0, stderr: "" });

    const runs = [first, second, last].map(({ events }) => events);
    expect(without(runs.flat())).toEqual(without(reference.events));
    expect(contents(parts)).toEqual(contents(whole));
    for (const [i, events] of runs.slice(1).entries()) {
      const done = runs[i].at(-1)!.steps;
      expect(events[0]).toMatchObject({ type: "start", resumed_from: done, differences: [] });
      // The validation that a signal ended comes first.
      const validates = done % 9 === 0;
      expect(events[1]).toMatchObject(
        validates ? { type: "eval", step: done } : { type: "step", step: done + 1 },
      );
    }
    expect(reference.events[0]).toMatchObject({ resumed_from: null, differences: [] });
    expect(last.events.at(-1)).toMatchObject({ type: "end", steps: 40, model_dir: parts });
  },
);

test("--save-every saves on the way, and a GPU that fails after it leaves that to be resumed", async () => {
  const [whole, parts] = [temporaryFolder(), temporaryFolder()];
  const argv = [...settings, ...told, "--n-embd", "48", "--save-every", "10", "--device", "webgpu"];
  const reference = await run([...argv, "--output", whole]);
  const saves = reference.events.filter(({ type }) => type === "save");
  expect(saves.map(({ step, due }) => [step, due])).toEqual([
    [10, "steps"],
    [20, "steps"],
    [30, "steps"],
    [40, "validation"],
  ]);
  expect(saves[0]).toEqual({ type: "save", step: 10, due: "steps", model_dir: whole });

  const io = new FakeIo();
  const { map } = Device.prototype;
  io.stdout.onWrite = (text) => {
    if (!text.includes('"type":"save","step":20')) return;
    vi.spyOn(Device.prototype, "map").mockImplementation(async function (this: Device, ...read) {
      await map.apply(this, read);
      throw new GpuError("The GPU was lost: a test.");
    });
  };
  const failed = await run([...argv, "--output", parts], io);
  vi.restoreAllMocks();
  expect(failed.code).toBe(1);
  expect(failed.stderr.split("\n")).toEqual([
    `Step 20 of the run is in ${parts}.`,
    expect.stringContaining("Its best model is of step 18: "),
    `error: The GPU was lost: a test.`,
    ``,
  ]);
  expect(failed.events.at(-1)).toMatchObject({ type: "save", step: 20 });
  expect(loadCheckpoint(parts).step).toBe(20);

  const rest = await run([...argv, "--output", parts, "--resume"]);
  expect(rest.code).toBe(0);
  const from = reference.events.findIndex(({ step }) => step === 21);
  expect(without(rest.events)).toEqual(without(reference.events.slice(from)));
  expect(contents(parts)).toEqual(contents(whole));
});

test("people read from which step it goes on, what is different, and what was saved on the way", async () => {
  const output = temporaryFolder();
  const argv = ["--device", "cpu", "--num-samples", "1", "--output", output];
  const io = new FakeIo();
  io.stdout.onWrite = (text) => {
    if (text.startsWith("step ")) io.emit("SIGINT");
  };
  const stopped = await runCli(train, [...argv, "--steps", "9"], {}, io);
  expect(stopped.stdout).toMatch(
    /^stopped: 1 step in [^]*^To go on: npm run train -- --output \S+ --resume$/m,
  );
  const more = ["--steps", "12", "--save-every", "5", "--resume"];
  const { code, stdout } = await runCli(train, [...argv, ...more]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^resumed after 1 step$/m);
  expect(stdout).toMatch(/^note {4}Its learning rates are .* a run of 12 steps, before of 9\.$/m);
  expect(stdout.match(/^(step|saved) +(step )?\d+/gm)).toEqual([
    "step  2",
    "step  5",
    "saved   step 5",
    "step 10",
    "saved   step 10",
    "step 12",
    "saved   step 12",
  ]);
  expect(stdout).toMatch(/^done: 11 steps in /m);
});

test("a run that is resumed and stopped before its first step leaves everything as it was", async () => {
  const output = temporaryFolder();
  const argv = ["--device", "cpu", "--output", output, ...settings];
  await run([...argv, "--json", "--log-every", "1"], stopping(3));
  const before = contents(output);
  const io = new FakeIo();
  io.stdout.onWrite = () => io.emit("SIGINT");
  const { code, stdout } = await runCli(train, [...argv, "--resume"], {}, io);
  expect(code).toBe(130);
  expect(stdout).toContain("Nothing was saved");
  expect(contents(output)).toEqual(before);
});

test("a run on standard input wants it again", async () => {
  const output = temporaryFolder();
  const io = (step: number) =>
    Object.assign(stopping(step), {
      stdin: (async function* () {
        yield Buffer.from(verse);
      })(),
    });
  const argv = [
    "--device",
    "cpu",
    "--steps",
    "9",
    "--json",
    "--log-every",
    "1",
    "--output",
    output,
  ];
  await run([...argv, "--input", "-"], io(3));
  expect(await run([...argv, "--resume"])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(
      /^error: The run to resume was trained on standard input; .*\.\n$/,
    ),
  });
  const { code, events } = await run([...argv, "--resume", "--input", "-"], io(99));
  expect(code).toBe(0);
  expect(events[0].resumed_from).toBe(3);
});

describe("a sentence, and everything as it was, for", async () => {
  const start = ["--device", "cpu", "--steps", "9", "--json", "--log-every", "1"];
  const input = textFile;
  const cases: [string, (folder: string) => string[], number, RegExp][] = [
    ["another width", () => ["--n-embd", "32"], 2, /--n-embd is 32, but the run to resume has 16;/],
    ["another seed", () => ["--seed", "1"], 2, /--seed is 1, but the run to resume has 42;/],
    [
      "another preset",
      () => ["--preset", "microgpt-cosine"],
      2,
      /block-size of --preset microgpt-cosine is 8, but the run to resume has 16;/,
    ],
    ["a preset that is none", () => ["--preset", "x"], 2, /There is no preset "x"/],
    ["fewer steps than are done", () => ["--steps", "2"], 2, /--steps is 2, but .* done 4 steps/],
    ["no more steps", () => ["--steps", "4"], 2, /has done all its 4 steps.* set --steps to more/],
    [
      "another text",
      () => ["--input", input(`${verse}\nmore`)],
      1,
      /The text is not the one that .*, which was /,
    ],
    ["no text", () => ["--input", "/none.txt"], 1, /The training text \/none\.txt cannot be read/],
    [
      "no run at all",
      (folder) => ["--output", join(folder, "none")],
      1,
      /none holds no run to resume/,
    ],
    [
      "a file cut short",
      (folder) => {
        truncateSync(join(folder, "training.safetensors"), 5000);
        return [];
      },
      1,
      /training\.safetensors is not a safetensors file that can be used: .* restore a copy/,
    ],
    [
      "an empty file",
      (folder) => {
        truncateSync(join(folder, "training.safetensors"), 0);
        return [];
      },
      1,
      /it has 0 bytes/,
    ],
    [
      "a model without its run",
      (folder) => {
        saveModel(folder, loadCheckpoint(folder));
        return [];
      },
      1,
      /holds no run to resume: there is no training\.safetensors/,
    ],
  ];

  test.each(cases)("%s", async (_, damage, code, message) => {
    const output = temporaryFolder();
    await run([...start, "--input", input(), "--output", output], stopping(4));
    const more = damage(output);
    const before = contents(output);
    const outcome = await run(["--output", output, "--resume", ...more]);
    expect(outcome).toMatchObject({ code, events: [] });
    expect(outcome.stderr).toMatch(message);
    expect(outcome.stderr).toMatch(/^error: [^\n]*\.\n$/);
    expect(contents(output)).toEqual(before);
  });

  test("what does not change the run is taken, and the same preset too", async () => {
    const output = temporaryFolder();
    await run([...start, "--output", output], stopping(4));
    const free = [
      "--temperature",
      "1",
      "--log-every",
      "2",
      "--tuning",
      "off",
      "--preset",
      "microgpt",
    ];
    const { code } = await run(["--output", output, "--resume", ...free, "--json"]);
    expect(code).toBe(0);
  });
});
