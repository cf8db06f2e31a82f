// generate --interactive, a prompt a line, and --logprobs.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { main as generate } from "../../cli/generate.ts";
import { FakeIo, parseLines, runCli, temporaryFolder } from "./fake_io.ts";
import { argv, endless, piped, plain, terminal, trainedFolder } from "./talk.ts";

describe("generate --interactive", () => {
  const text = (question: string, answer: string) =>
    `<|user|>${question}<|end_turn|><|assistant|>${answer}<|end_turn|>`;

  test.each(["quit", "exit", "q"])("writes a text a line, up to %s", async (end) => {
    const lines = `my red cat\n\nmy € cat\nmy blue dog\n ${end}\nmy pink bus\n`;
    const args = [...argv(await trainedFolder()), "--interactive"];
    const { code, stdout, stderr } = await piped(generate, args, lines);
    expect(stdout).toBe(
      `sample  1: ${text("my red cat", "the cat is red")}\nsample  1: ${text("my blue dog", "the dog is blue")}\n`,
    );
    expect(stderr).toMatch(/^error: The model has no token for "€"/);
    expect(code).toBe(1);
  });

  test("writes as many as --num-samples, each line with random numbers of its own; JSON tells errors too", async () => {
    const hot = [
      "--model-dir",
      await trainedFolder(),
      "--device",
      "cpu",
      "--temperature",
      "4",
      "--json",
    ];
    const args = [...hot, "--interactive", "--num-samples", "2"];
    const lines = parseLines((await piped(generate, args, "my cat\n€\nmy cat")).stdout);
    expect(lines.map(({ type, index }) => [type, index])).toEqual([
      ["sample", 1],
      ["sample", 2],
      ["error", undefined],
      ["sample", 1],
      ["sample", 2],
    ]);
    expect(new Set(lines.map(({ text }) => text)).size).toBe(5);
    const alone = await runCli(generate, [...hot, "--num-samples", "2", "--prompt", "my cat"]);
    expect(parseLines(alone.stdout)).toEqual(lines.slice(0, 2));
  });

  test("streams at a terminal, and Ctrl-C stops a text", async () => {
    const io = terminal(["ab\r", "q\r"]);
    const { onWrite } = io.stdout;
    io.stdout.onWrite = (text) => {
      if (text === "x") io.emit("SIGINT");
      onWrite(text);
    };
    const { code, stdout } = await runCli(generate, [...argv(endless()), "--interactive"], {}, io);
    expect(code).toBe(0);
    expect(plain(stdout)).toMatch(
      /^sample {2}1: <\|user\|>ab<\|end_turn\|><\|assistant\|>x{1,20}$/m,
    );
  });

  test("takes no prompt beside it, but one of the environment gives way", async () => {
    const args = [...argv(await trainedFolder()), "--interactive"];
    const file = join(temporaryFolder(), "prompt");
    writeFileSync(file, "my");
    for (const prompt of [
      ["--prompt", "my"],
      ["--prompt-file", file],
    ]) {
      const { code, stderr } = await piped(generate, [...args, ...prompt], "my red cat\n");
      expect(code).toBe(2);
      expect(stderr).toContain(
        `${prompt[0]} says what every text begins with, and --interactive asks`,
      );
    }
    const io = new FakeIo();
    const run = await runCli(generate, args, { MICROGPT_PROMPT: "my" }, io);
    expect(run).toEqual({ code: 0, stdout: "", stderr: "" });
  });
});

describe("generate --logprobs", () => {
  test("tells every token's, and the likeliest ones beside it, in JSON", async () => {
    const folder = await trainedFolder();
    const args = [...argv(folder), "--num-samples", "1", "--prompt", "my red cat", "--json"];
    const { stdout } = await runCli(generate, [...args, "--logprobs", "2"]);
    const [{ text, tokens }] = parseLines(stdout);
    const shown = tokens.map(({ token }: { token: string }) => token).join("");
    expect(text).toBe(`<|user|>my red cat<|end_turn|><|assistant|>${shown}`);
    expect(shown.endsWith("<|end_turn|>")).toBe(true);
    for (const { id, token, logprob, top_logprobs } of tokens) {
      expect(top_logprobs[0]).toEqual({ id, token, logprob }); // at temperature 0
      expect(top_logprobs).toHaveLength(2);
      expect(top_logprobs[0].logprob).toBeGreaterThanOrEqual(top_logprobs[1].logprob);
    }
    const [without] = parseLines((await runCli(generate, args)).stdout);
    expect(without).toEqual({ type: "sample", index: 1, text });
  });

  test.each([
    [["--logprobs", "2"], "--logprobs is told in JSON alone; add --json"],
    [["--json", "--logprobs", "-1"], '--logprobs is "-1"; it must be a whole number'],
    [["--json", "--logprobs"], "--logprobs needs a value"],
    [["--stop="], "--stop is empty"],
    [["--top-p", "0"], "--top-p is 0; it must be a number above 0 and at most 1"],
    [["--min-p", "2"], "--min-p is 2"],
    [["--repetition-penalty", "0"], "--repetition-penalty is 0"],
  ])("and %j is refused", async (flags, sentence) => {
    const { code, stderr } = await runCli(generate, [...argv(temporaryFolder()), ...flags]);
    expect(code).toBe(2);
    expect(stderr).toContain(sentence);
  });
});
