// Samples on a terminal and in a pipe, and how long they get.

import { expect, test } from "vitest";
import { main as generate } from "../../cli/generate.ts";
import { saveModel } from "../../src/files/model_dir.node.ts";
import { printable, SamplePrinter } from "../../cli/samples.ts";
import { main as train } from "../../cli/train.ts";
import { resolveConfig } from "../../src/config.ts";
import { dimsOf, ParameterLayout } from "../../src/model/parameters.ts";
import { CharTokenizer } from "../../src/tokenizer/char.ts";
import { FakeIo, parseLines, runCli, temporaryFolder } from "./fake_io.ts";

/** A model that writes one character for ever: only its own embedding in the head is not zero. */
function monotonous(char: string, format: "lines" | "text" = "lines"): string {
  const config = resolveConfig("microgpt", { format, block_size: 4, n_embd: 4, n_head: 1 });
  const tokenizer = CharTokenizer.fromDocuments([`ab${char}`]);
  const dims = dimsOf(config, tokenizer.vocab_size);
  const layout = new ParameterLayout(dims);
  const values = new Float32Array(layout.size);
  const [id] = tokenizer.encode(char);
  for (const { name, offset, size } of layout.slices) {
    if (name === "wte" || name === "wpe") values.fill(1, offset, offset + size);
    if (name === "lm_head") values.fill(9, offset + 4 * id, offset + 4 * id + 4);
  }
  const folder = temporaryFolder();
  saveModel(folder, { config, tokenizer, step: 1, layout, values });
  return folder;
}

const terminal = () => {
  const io = new FakeIo();
  io.stdout.isTTY = true;
  return io;
};
const argv = (folder: string, ...more: string[]) => [
  "--model-dir",
  folder,
  "--device",
  "cpu",
  "--num-samples",
  "1",
  ...more,
];

test("control characters are shown on a terminal, and raw in a pipe and in JSON", async () => {
  const folder = monotonous("\x1b");
  const raw = "\x1b".repeat(4);
  const piped = await runCli(generate, argv(folder, "--temperature", "0"));
  expect(piped.stdout).toBe(`sample  1: ${raw}\n`);
  const json = await runCli(generate, argv(folder, "--json"), {}, terminal());
  expect(parseLines(json.stdout)).toEqual([{ type: "sample", index: 1, text: raw }]);
  const shown = await runCli(generate, argv(folder), {}, terminal());
  expect(shown.stdout).toBe(`sample  1: ${"\\x1b".repeat(4)}\n`);
});

test("of all characters only the controls are shown as escapes, newline and tab not", () => {
  expect(printable("a\nb\tc é 😀 \u202e")).toBe("a\nb\tc é 😀 \u202e");
  expect(printable("\x07\x08\r\x1b[2J\x7f\x9b")).toBe("\\x07\\x08\\x0d\\x1b[2J\\x7f\\x9b");
});

test("a terminal sees a text grow, and what was begun has its line end", () => {
  const { stdout } = terminal();
  const writes: string[] = [];
  stdout.onWrite = (text) => writes.push(text);
  const printer = new SamplePrinter(stdout);
  printer.print({ type: "piece", index: 1, text: "a" });
  printer.print({ type: "piece", index: 1, text: "b" });
  printer.print({ type: "sample", index: 1, text: "ab" });
  printer.print({ type: "sample", index: 2, text: "" });
  printer.print({ type: "piece", index: 3, text: "c" });
  printer.end();
  printer.end();
  expect(writes).toEqual([
    "sample  1: ",
    "a",
    "b",
    "\n",
    "sample  2: ",
    "\n",
    "sample  3: ",
    "c",
    "\n",
  ]);
});

test("generate writes on beyond the context, and says on stderr what that means", async () => {
  const long = argv(monotonous("x"), "--temperature", "0", "--max-tokens", "10", "--json");
  const { stdout, stderr } = await runCli(generate, [...long, "--prompt", "abab"]);
  expect(parseLines(stdout)).toEqual([{ type: "sample", index: 1, text: `abab${"x".repeat(10)}` }]);
  expect(stderr).toMatch(/^The prompt has 4 tokens, and the context holds 3 of them: .*\.$/m);
  expect(stderr).toMatch(/^A text may grow longer than the context\. Its 4 positions .*\.$/m);
  const short = await runCli(generate, argv(monotonous("x", "text")));
  expect(short.stderr).toBe("");
});

test("train writes with --top-k, --max-tokens and --temperature, and tells of long texts first", async () => {
  const quick = ["--device", "cpu", "--steps", "1", "--num-samples", "2", "--output"];
  const more = ["--temperature", "2", "--top-k", "2", "--max-tokens", "40"];
  const { stdout } = await runCli(train, [...quick, temporaryFolder(), ...more], {}, terminal());
  expect(stdout).toMatch(
    /^note {4}A text may grow longer than the context\. Its 16 positions are learned/m,
  );
  const [first] = stdout.match(/(?<=^sample {2}1: ).*/m)!;
  expect(first.length).toBeLessThanOrEqual(40);
});
