// What the commands say of a text: how it is read, what of it is not read, and which flag mends that.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { main as info } from "../../cli/info.ts";
import { loadModel } from "../../src/files/model_dir.node.ts";
import { main as sweep } from "../../cli/sweep.ts";
import { main as train } from "../../cli/train.ts";
import { FakeIo, parseLines, runCli, temporaryFolder } from "./fake_io.ts";

const quick = ["--device", "cpu", "--steps", "2", "--num-samples", "1"];
/** 60 poems, a line each, of 20 to 89 characters. */
const poems = Array.from({ length: 60 }, (_, i) =>
  "so much depends upon a red wheel barrow "
    .repeat(3)
    .slice(i % 40, (i % 40) + 20 + ((i * 7) % 70)),
).join("\n");
const book = `${"It was a bright cold day in April, and the clocks were striking. ".repeat(60)}\n`;

function fileOf(content: string | Uint8Array): string {
  const path = join(temporaryFolder(), "poems.txt");
  writeFileSync(path, content);
  return path;
}

async function header(main: typeof train, text: string | Uint8Array, ...argv: string[]) {
  const all = ["--input", fileOf(text), ...argv];
  const { code, stdout, stderr } = await runCli(main, all);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}
const trained = (text: string | Uint8Array, ...argv: string[]) =>
  header(train, text, ...quick, "--output", temporaryFolder(), ...argv);

test("the share of the characters that the context cuts off is said, and the flags that mend it", async () => {
  const stdout = await trained(poems);
  expect(stdout).toMatch(/^data .*poems\.txt: 60 documents, 60 longer than the context of 16 tok/m);
  const [, share, size] =
    /^unread {2}(\d+\.\d) % of the characters, beyond the context: --block-size (\d+) reads 99 % of them, --format text all$/m.exec(
      stdout,
    )!;
  const lengths = poems.split("\n").map((line) => line.trim().length);
  const all = lengths.reduce((sum, n) => sum + n, 0);
  const beyond = (b: number) => lengths.reduce((sum, n) => sum + Math.max(0, n - b), 0);
  expect(Number(share)).toBeCloseTo((100 * beyond(16)) / all, 1);
  expect(beyond(Number(size)) / all).toBeLessThan(0.01);
  expect(beyond(Number(size) - 8) / all).toBeGreaterThan(0.005);

  const mended = await trained(poems, "--block-size", size);
  expect(mended).not.toMatch(/^unread {2}\d+\.\d % .* 99 %/m);
  expect(await trained(poems, "--format", "text")).not.toContain("unread");
});

test("the format that a text looks like is taken and said; one that is asked for is not", async () => {
  const detected = await trained(book);
  expect(detected).toMatch(/^format {2}text: few long lines; --format lines if that is not so$/m);
  expect(detected).toMatch(/: one text of 3,901 tokens, 390 of them held out; /);
  expect(await trained(poems)).toMatch(
    /^format {2}lines: each line stands for itself; --format tex/m,
  );
  for (const format of ["lines", "text"]) {
    expect(await trained(book, "--format", format)).not.toMatch(/^format/m);
  }
  const names = await runCli(train, [...quick, "--output", temporaryFolder()]);
  expect(names.stdout).not.toMatch(/^(format|unread|note) /m);
  expect(names.stdout).toContain("1,936 documents");
});

test("sweep and info say the same", async () => {
  const told = async (...argv: string[]) => [
    await header(sweep, book, ...quick.slice(0, 4), "--output", temporaryFolder(), ...argv),
    await header(info, book, "--steps", "9", ...argv),
  ];
  for (const stdout of await told()) {
    expect(stdout).toMatch(/^format +text: few long lines; --format lines if that is not so$/m);
  }
  for (const stdout of await told("--json")) {
    expect(parseLines(stdout)[0].format_reason).toBe("text: few long lines");
  }
  expect(await header(info, poems, "--steps", "9")).toMatch(/^unread {5}\d+\.\d % of the char/m);
});

test("a run that goes on has the format that it began with, whatever the text looks like now", async () => {
  const output = temporaryFolder();
  const input = fileOf(book);
  const argv = ["--input", input, "--output", output, ...quick];
  await runCli(train, [...argv, "--format", "lines"]);
  expect(loadModel(output).config.format).toBe("lines");
  const again = ["--output", output, "--resume", "--json"];
  for (const [i, more] of [[], ["--format", "auto"], ["--preset", "microgpt"]].entries()) {
    const steps = ["--steps", String(4 + i)];
    const { code, stdout, stderr } = await runCli(train, [...again, ...more, ...steps]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(parseLines(stdout)[0]).toMatchObject({
      config: { format: "lines" },
      format_reason: null,
    });
  }
  const other = await runCli(train, [...again, "--format", "text", "--steps", "9"]);
  expect(other.stderr).toContain("--format is text, but the run to resume has lines;");
});

test("a text that can only be learnt by heart is told so", async () => {
  expect(await trained("ann\nbob\n")).toMatch(
    /^note {4}The model has [\d,]+ parameters and the text 8 tokens to train on, so it can only be learnt by heart; a longer text leaves/m,
  );
  const wide = ["--n-embd", "64", "--num-samples", "0"];
  expect(await trained(book.slice(0, 2000), ...wide)).toMatch(
    /; a longer text or a smaller model /,
  );
});

test("UTF-16 with a byte-order mark, and CRLF, are read as plain UTF-8 is", async () => {
  const crlf = book.replaceAll(". ", ".\r\n");
  const windows = Buffer.from(`\ufeff${crlf}`, "utf16le");
  const told = async (content: string | Uint8Array) => {
    const stdout = await trained(content, "--format", "text", "--json");
    const [start, ...events] = parseLines(stdout);
    return [start.num_tokens, start.vocab_size, events.find(({ type }) => type === "step")!.loss];
  };
  expect(await told(windows)).toEqual(await told(book.replaceAll(". ", ".\n")));
});

describe("the presets", () => {
  test("of bench are presets of train: sizes and a way to train them", async () => {
    const argv = ["--preset", "tiny", "--steps", "2", "--json"];
    const [start] = parseLines(await trained(poems, ...argv));
    expect(start.config).toMatchObject({ batch_size: 32, n_embd: 16, format: "lines" });
    const [told] = parseLines(await header(info, book, "--preset", "small", "--json"));
    expect(told.config).toMatchObject({ n_layer: 2, n_embd: 64, block_size: 64, format: "text" });
  });
});

test("standard input is read as it comes", async () => {
  const io = new FakeIo();
  io.stdin = (async function* () {
    for (const byte of Buffer.from("né\r\nбob\n")) yield Uint8Array.of(byte);
  })();
  const argv = [...quick, "--json", "--input", "-", "--output", temporaryFolder()];
  const { stdout } = await runCli(train, argv, {}, io);
  expect(parseLines(stdout)[0]).toMatchObject({ num_docs: 2, vocab_size: 6 });
});
