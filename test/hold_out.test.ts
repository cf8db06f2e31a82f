// Which part of a text is held out where nobody says: a tenth of a stream that has room for it, and of documents none.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { main as info } from "../cli/info.ts";
import { main as train } from "../cli/train.ts";
import { resolveConfig, unsaidIn } from "../src/config.ts";
import { train as trainText } from "../src/index.ts";
import { presets } from "../src/presets.ts";
import { chooseHeldOut } from "../src/text/hold_out.ts";
import { resumedConfig } from "../src/training/resume.ts";
import { Training } from "../src/training/train.ts";
import { parseLines, runCli, temporaryFolder } from "./cli/fake_io.ts";

const stream = { format: "text", block_size: 16, val_fraction: "auto" } as const;
const quick = [
  "--device",
  "cpu",
  "--steps",
  "2",
  "--num-samples",
  "0",
  "--n-embd",
  "4",
  "--n-head",
  "1",
];

test("a tenth of a stream, as soon as a window fits into it", () => {
  expect(chooseHeldOut(stream, 1000)).toEqual({ val_fraction: 0.1, note: null });
  expect(chooseHeldOut(stream, 170)).toEqual({ val_fraction: 0.1, note: null });
  const short = chooseHeldOut(stream, 160);
  expect(short.val_fraction).toBe(0);
  expect(short.note).toBe(
    "Nothing is held out to validate with: a tenth of the text's 160 tokens is 16, and a window takes 17; a longer " +
      "text or a smaller block_size has room for it.",
  );
});

test("of documents nothing, and what is asked for is left as it is", () => {
  expect(chooseHeldOut({ ...stream, format: "lines" }, 1000)).toEqual({
    val_fraction: 0,
    note: null,
  });
  for (const val_fraction of [0, 0.3]) {
    expect(chooseHeldOut({ ...stream, val_fraction }, 30)).toEqual({ val_fraction, note: null });
  }
});

test("a preset that holds something out keeps its part, and no preset of microgpt's asks for one", () => {
  expect(unsaidIn("shakespeare")).toEqual({ format: "auto" });
  expect(unsaidIn("microgpt")).toEqual({ format: "auto", val_fraction: "auto" });
  for (const name of ["microgpt", "microgpt-cosine", "tiny"] as const) {
    expect(presets[name]).toMatchObject({ format: "lines", val_fraction: 0 });
  }
});

describe("the command line", () => {
  const textFile = (text: string) => {
    const path = join(temporaryFolder(), "text.txt");
    writeFileSync(path, text);
    return path;
  };
  const start = async (...argv: string[]) => {
    const { stdout, stderr } = await runCli(train, [
      ...quick,
      "--json",
      "--output",
      temporaryFolder(),
      ...argv,
    ]);
    expect(stderr).toBe("");
    return parseLines(stdout)[0];
  };
  const text = "the cat sat on the mat, and the dog lay on the log. ".repeat(20);

  test("holds out of a stream, and of names nothing", async () => {
    const input = textFile(text);
    const one = await start("--input", input);
    expect(one).toMatchObject({
      num_val_tokens: 104,
      config: { format: "text", val_fraction: 0.1 },
    });
    expect((await start()).config).toMatchObject({ format: "lines", val_fraction: 0 });
    const none = await start("--input", input, "--val-fraction", "0");
    expect(none).toMatchObject({ num_val_tokens: 0, config: { val_fraction: 0 } });
    const asked = await start("--val-fraction", "auto", "--format", "text");
    expect(asked.config.val_fraction).toBe(0.1);
  });

  test("tells where the text is too short for it, `info` too", async () => {
    const input = textFile(text.slice(0, 100));
    const { notes, config } = await start("--input", input, "--format", "text");
    expect(config.val_fraction).toBe(0);
    expect(notes.join(" ")).toContain(
      "a tenth of the text's 100 tokens is 10, and a window takes 17",
    );
    const told = await runCli(info, ["--input", input, "--format", "text"]);
    expect(told.stdout).toContain("Nothing is held out to validate with");
  });

  test("validations that have nothing to validate with are a sentence, once the text is read", async () => {
    const output = ["--output", temporaryFolder()];
    const lines = await runCli(train, [...quick, ...output, "--eval-every", "1"]);
    expect(lines.code).toBe(2);
    expect(lines.stderr).toMatch(
      /^error: --eval-every is 1, but nothing is held out .*--val-fraction .*\n$/,
    );
    const input = textFile(text.slice(0, 100));
    const short = await runCli(train, [
      ...quick,
      ...output,
      "--eval-every",
      "1",
      "--format",
      "text",
      "--input",
      input,
    ]);
    expect(short.code).toBe(2);
    expect(short.stderr).toMatch(/^error: eval_every is 1, but nothing is held out/);
    const long = await start("--input", textFile(text), "--eval-every", "1");
    expect(long.config).toMatchObject({ eval_every: 1, val_fraction: 0.1 });
  });

  test("a word that is no number is refused, and auto is told", async () => {
    const { code, stderr } = await runCli(train, [...quick, "--val-fraction", "some"]);
    expect(code).toBe(2);
    expect(stderr).toContain(
      '--val-fraction is "some"; it must be auto or a number of at least 0 and below 1.',
    );
    const help = await runCli(train, ["--help"]);
    expect(help.stdout).toMatch(
      /--val-fraction X .*auto is 0\.1 of one stream .*\(default: auto\)/,
    );
  });
});

test("the library does the same, and a run goes on with what was chosen", async () => {
  const text = "a stream of words and words of a stream. ".repeat(10);
  const options = { device: "cpu", num_steps: 1, n_embd: 4, n_head: 1 } as const;
  const one = await trainText(text, { ...options, format: "text" });
  expect(one.start.config.val_fraction).toBe(0.1);
  for await (const _ of one.run());
  const before = await one.checkpoint();
  expect(resumedConfig(before, { val_fraction: "auto", num_steps: 2 }).val_fraction).toBe(0.1);
  const rest = await trainText(text, { resume: before, num_steps: 2 });
  expect(rest.start.config.val_fraction).toBe(0.1);
  expect((await trainText(["a", "b"], options)).start.config.val_fraction).toBe(0);
  // A training that is given its part has it.
  const config = resolveConfig("microgpt", { format: "text", num_steps: 1 });
  const plain = await Training.open({ config, documents: text, device: "cpu" });
  expect(plain.start.num_val_tokens).toBe(0);
});
