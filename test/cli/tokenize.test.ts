// `tokenize`: a tokenizer is learnt and written, a text's tokens are shown, and what cannot be is said.

import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { main } from "../../cli/tokenize.ts";
import { main as train } from "../../cli/train.ts";
import { FakeIo, parseLines, runCli, temporaryFolder } from "./fake_io.ts";

const rhyme = "Rain on the roof and rain on the road.\n";

/** A folder with a text, and a BPE tokenizer that is learnt from it. */
async function learnt() {
  const folder = temporaryFolder();
  const [text, file] = [join(folder, "rhyme.txt"), join(folder, "tokenizer.json")];
  writeFileSync(text, rhyme.repeat(30));
  const argv = ["--train", text, "--vocab-size", "275", "--output", file, "--stats"];
  const outcome = await runCli(main, [...argv, "--format", "text"]);
  return { folder, text, file, outcome };
}

test("learns, writes and tells what it has learnt", async () => {
  const { text, file, outcome } = await learnt();
  expect(outcome).toMatchObject({ code: 0, stderr: "" });
  const lines = outcome.stdout.trimEnd().split("\n");
  expect(lines[0]).toBe(`${text}: 1,170 bytes; bpe, 275 tokens`);
  expect(lines[1]).toBe("vocabulary  275 tokens, 1 of them special");
  expect(lines[2]).toMatch(/^tokens {6}\d+ of \d\.\d\d characters \(\d\.\d\d bytes\) each$/);
  expect(lines[3]).toBe("unknown     0.0 %: 0 tokens");
  expect(lines[4]).toMatch(/^longest {5}"[ \w]{3,}" /);
  expect(lines[5]).toBe(`saved   ${file}`);
});

test("shows tokens, ids and bytes, in colours where the terminal has some, and as JSON", async () => {
  const { file } = await learnt();
  const argv = ["--tokenizer", file, "--text", "rain é"];
  const plain = await runCli(main, argv);
  const [{ ids, tokens }] = parseLines((await runCli(main, [...argv, "--json"])).stdout);
  expect(ids).toHaveLength(tokens.length);
  expect(tokens.slice(-2)).toEqual(["<0xC3>", "<0xA9>"]);
  expect(tokens.slice(0, -2).join("")).toBe("rain ");
  const [head, line, ...table] = plain.stdout.trimEnd().split("\n");
  expect(head).toBe(
    `${tokens.length} tokens of 7 bytes, ${(6 / tokens.length).toFixed(2)} characters each`,
  );
  expect(line.replaceAll("|", "")).toBe("rain é");
  expect(table).toHaveLength(1 + tokens.length);
  expect(table.at(-1)).toMatch(new RegExp(`^${ids.at(-1)} +a9 +"<0xA9>"$`));

  const io = new FakeIo();
  Object.assign(io.stdout, { isTTY: true, hasColors: () => true });
  const coloured = (await runCli(main, argv, {}, io)).stdout.split("\n")[1];
  expect(coloured).toContain("\x1b[30;48;5;");
  expect(stripVTControlCharacters(coloured)).toBe("rain é");
  const bare = new FakeIo();
  Object.assign(bare.stdout, { isTTY: true, hasColors: () => false }); // NO_COLOR
  expect((await runCli(main, argv, {}, bare)).stdout).toBe(plain.stdout);
});

test("takes a model's folder for a tokenizer, and tells how it suits a text", async () => {
  const { folder, text, file } = await learnt();
  const output = join(folder, "model");
  const settings = ["--steps", "1", "--num-samples", "0", "--device", "cpu", "--format", "text"];
  const run = await runCli(train, [
    "--input",
    text,
    "--tokenizer",
    file,
    "--output",
    output,
    ...settings,
  ]);
  expect(run.code).toBe(0);
  expect(run.stdout).toMatch(
    /^tokens {2}bpe, \d+ of \d\.\d\d characters \(\d\.\d\d bytes\) each$/m,
  );
  const of = (tokenizer: string) =>
    runCli(main, [
      "--tokenizer",
      tokenizer,
      "--stats",
      "--input",
      text,
      "--format",
      "text",
      "--json",
    ]);
  const [about] = parseLines((await of(output)).stdout);
  expect(about).toMatchObject({
    tokenizer: "bpe",
    vocab_size: 275,
    num_bytes: 1170,
    num_unknown: 0,
  });
  expect((await of(file)).stdout).toBe((await of(output)).stdout);
});

test("of words it tells the share that is unknown", async () => {
  const { folder, text } = await learnt();
  const file = join(folder, "words.json");
  const argv = ["--train", text, "--tokenizer", "word", "--vocab-size", "5", "--output", file];
  expect((await runCli(main, argv)).code).toBe(0);
  const shown = await runCli(main, ["--tokenizer", file, "--text", "rain on sand", "--stats"]);
  expect(shown.stdout).toMatch(/^unknown {5}66\.7 %: 2 tokens$/m);
  const blank = await runCli(main, ["--tokenizer", file, "--text", "  ", "--stats"]);
  expect(blank.code).toBe(0);
  expect(blank.stdout).toMatch(/^tokens {6}0 in 2 characters \(2 bytes\)$/m);
  expect(blank.stdout).not.toMatch(/Infinity|NaN/);
});

test.each([
  [[], "Which tokenizer? Name a tokenizer.json or the folder of a model"],
  [["--tokenizer", "char", "--text", "a"], "Which tokenizer?"],
  [["--tokenizer", "FILE"], "What is there to show? Give --text TEXT, or --stats."],
  [["--tokenizer", "nowhere.json", "--text", "a"], "The tokenizer nowhere.json cannot be read: "],
  [["--tokenizer", "TEXT", "--text", "a"], "is no tokenizer: it is not usable JSON"],
  [["--train", "TEXT"], "--train needs a place for what it learns"],
  [
    ["--train", "TEXT", "--text", "a"],
    "--text shows the tokens of a text, and --train learns them",
  ],
  [["--train", "TEXT", "--tokenizer", "FILE", "--stats"], "--tokenizer says of which kind"],
  [
    ["--train", "TEXT", "--stats", "--vocab-size", "100"],
    "vocab_size is 100; BPE needs a whole number from 260",
  ],
  [
    ["--train", "TEXT", "--stats", "--vocab-size", "9", "--tokenizer", "char"],
    "--vocab-size is 9, but with",
  ],
  [
    ["--train", "TEXT", "--output", "/dev/null/x"],
    "The tokenizer cannot be written to /dev/null/x: ",
  ],
] as const)("%j is refused", async (argv, sentence) => {
  const { text, file } = await learnt();
  const paths: Record<string, string> = { TEXT: text, FILE: file };
  const given = argv.map((argument) => paths[argument] ?? argument);
  const { code, stderr } = await runCli(main, given);
  expect(code).toBeGreaterThan(0);
  expect(stderr).toContain(sentence);
  expect(stderr).toMatch(/^error: .*\.\n$/);
});

test.each([
  ["learning", "tokenize", main],
  ["tokenizing", "train", train],
] as const)("Ctrl-C ends it within %s, and nothing is left: %s", async (verb, _, command) => {
  const { folder, text } = await learnt();
  const output = join(folder, "interrupted");
  const io = new FakeIo();
  io.stderr.isTTY = true;
  io.stderr.onWrite = (part) => {
    if (part.includes(verb)) io.emit("SIGINT");
  };
  const own = command === train ? ["--input", text, "--tokenizer", "bpe"] : ["--train", text];
  const argv = [...own, "--vocab-size", "270", "--output", output, "--format", "text"];
  const { code, stderr } = await runCli(command, argv, {}, io);
  expect(code).toBe(130);
  expect(stderr).toContain(verb);
  expect(existsSync(output) && readdirSync(output).length > 0).toBe(false);
});
