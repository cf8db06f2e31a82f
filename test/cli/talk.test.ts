// Lines that somebody writes, and what a model makes of each: chat and generate --interactive, at a terminal and from a
// pipe.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { beforeAll, describe, expect, test } from "vitest";
import { main as chat } from "../../cli/chat.ts";
import { main as generate } from "../../cli/generate.ts";
import { resolveConfig } from "../../src/config.ts";
import { saveModel } from "../../src/files/model_dir.node.ts";
import type { Model } from "../../src/files/model_files.ts";
import { dimsOf, ParameterLayout } from "../../src/model/parameters.ts";
import { chatTokens, withTokens } from "../../src/text/chat.ts";
import type { Conversation } from "../../src/text/conversation.ts";
import { CharTokenizer } from "../../src/tokenizer/char.ts";
import { Training } from "../../src/training/train.ts";
import { conversations } from "../harness/conversations.ts";
import { FakeIo, parseLines, runCli, temporaryFolder } from "./fake_io.ts";

/** Knows the conversations of the harness, behind the system's turn too. */
let model: Model;

beforeAll(async () => {
  const config = resolveConfig("microgpt", {
    format: "chat",
    block_size: 48,
    batch_size: 8,
    learning_rate: 0.03,
    num_steps: 130,
  });
  const system = { role: "system", content: "be" } as const;
  const both = conversations.flatMap((turns, i) =>
    i % 8 === 0 ? [turns, [system, ...turns]] : [turns],
  );
  const documents = both.map((turns: Conversation) => JSON.stringify(turns));
  const training = await Training.open({ config, documents, device: "cpu" });
  for await (const _ of training.steps());
  model = await training.model();
});

function folderOf(model: Model): string {
  const folder = temporaryFolder();
  saveModel(folder, model);
  return folder;
}

/** A model that says x for ever. */
function endless(): string {
  const config = resolveConfig("microgpt", { format: "chat", block_size: 200, n_embd: 4 });
  const tokenizer = withTokens(new CharTokenizer([..."abx"]), chatTokens([]));
  const layout = new ParameterLayout(dimsOf(config, tokenizer.vocab_size));
  const values = new Float32Array(layout.size);
  for (const { name, offset } of layout.slices) {
    if (name === "wte" || name === "wpe") values.fill(1, offset, offset + layout.slice(name).size);
    if (name === "lm_head") values.fill(9, offset + 8, offset + 12);
  }
  return folderOf({ config, tokenizer, step: 1, layout, values });
}

const argv = (folder: string) => ["--model-dir", folder, "--device", "cpu", "--temperature", "0"];

/** Runs a command with these bytes in its pipe, however they are cut. */
function piped(main: typeof chat, args: string[], ...pieces: (string | Uint8Array)[]) {
  const io = new FakeIo();
  io.stdin = (async function* () {
    for (const piece of pieces) {
      yield typeof piece === "string" ? new TextEncoder().encode(piece) : piece;
    }
  })();
  return runCli(main, args, {}, io);
}

/** A terminal, and what is typed there once the prompt has been shown so often. */
function terminal(typed: string[]) {
  const io = new FakeIo();
  const keys = new PassThrough();
  io.stdin = Object.assign(keys, { isTTY: true });
  Object.assign(io.stdout, { isTTY: true, on() {}, removeListener() {} });
  let shown = 0;
  io.stdout.onWrite = (text) => {
    // Where the cursor is set behind it, the prompt is whole.
    if (text.includes("> ")) setImmediate(() => keys.write(typed[shown++] ?? "\x04"));
  };
  return io;
}

/** Without what moves the cursor. */
// oxlint-disable-next-line no-control-regex
const plain = (text: string) => text.replaceAll(/\x1b\[\d*[A-Z]/g, "");

describe("chat, from a pipe,", () => {
  test("answers line by line, in pieces cut anywhere, with line ends of any kind", async () => {
    const folder = folderOf(model);
    const lines = "my red cat\r\n\n  \nmy blue dog\n/quit\nmy pink bus\n";
    const whole = await piped(chat, argv(folder), lines);
    expect(whole).toEqual({
      code: 0,
      stdout: "the cat is red\nthe dog is blue\n",
      stderr: expect.any(String),
    });
    expect(await piped(chat, argv(folder), ...lines)).toEqual(whole);
    const unended = await piped(chat, argv(folder), "my red cat\nmy blue dog");
    expect(unended.stdout).toBe(whole.stdout);
    expect(await piped(chat, argv(folder))).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test("says once that the oldest turns are left out, and goes on", async () => {
    const { stderr, stdout } = await piped(chat, argv(folderOf(model)), "my red cat\n".repeat(4));
    expect(stdout).toBe("the cat is red\n".repeat(4));
    expect(stderr).toBe(
      "The context of 48 tokens has no room for all that was said: the model did not see the oldest 2 turns, and from " +
        "now on it sees the last ones alone.\n",
    );
  });

  test("gives a JSON line for each line, with --json, and nothing beside them", async () => {
    const args = [...argv(folderOf(model)), "--json"];
    const run = await piped(chat, args, "my red cat\nmy € cat\n/nothing\nmy blue dog\n");
    const answer = { type: "answer", role: "assistant", finish_reason: "stop" };
    expect(parseLines(run.stdout)).toEqual([
      { ...answer, content: "the cat is red", num_left_out: 0 },
      { type: "error", message: expect.stringContaining('no token for "€"') },
      { type: "error", message: expect.stringContaining("There is no command /nothing.") },
      { ...answer, content: "the dog is blue", num_left_out: 2 },
    ]);
    expect([run.stderr, run.code]).toEqual(["", 1]);
  });

  test("tells what is wrong with a line and takes the next, as if the first had not been", async () => {
    const path = join(temporaryFolder(), "saved.jsonl");
    const lines = [
      "my red cat",
      "€",
      "x".repeat(60),
      "/retry",
      "//a",
      "/save",
      `/save ${path}`,
      "",
    ];
    const { code, stdout, stderr } = await piped(chat, argv(folderOf(model)), lines.join("\n"));
    expect(stdout).toBe("the cat is red\nthe cat is red\n");
    expect(stderr.match(/^error: .*$/gm)).toEqual([
      expect.stringContaining("no token for"),
      expect.stringContaining("The last message has 64 tokens"),
      expect.stringContaining('no token for "/"'), // what begins with two is said with one
      "error: /save needs the name of a file: /save FILE.",
    ]);
    expect(stderr).toMatch(/^2 turns saved in .*saved\.jsonl\.$/m);
    expect(code).toBe(1);
  });

  test("/save writes what train reads, and never over another file; /clear forgets all but the system's turn", async () => {
    const folder = temporaryFolder();
    const [one, two, lost] = ["1", "2", "none/3"].map((name) => join(folder, name));
    const lines = [
      `/save ${one}`, // nothing yet
      "my red cat",
      `/save ${one}`,
      `/save ${one}`,
      "/clear",
      "/retry",
      "my blue dog",
      `/save   ${two}  `,
      `/save ${lost}`,
    ];
    const args = [...argv(folderOf(model)), "--system", "be"];
    const { stderr, stdout } = await piped(chat, args, lines.join("\n"));
    const said = stdout.split("\n");
    const turns = (question: string, answer: string) => [
      { role: "system", content: "be" },
      { role: "user", content: question },
      { role: "assistant", content: answer },
    ];
    expect(parseLines(readFileSync(one, "utf8"))).toEqual([turns("my red cat", said[0])]);
    expect(parseLines(readFileSync(two, "utf8"))).toEqual([turns("my blue dog", said[1])]);
    expect(stderr.match(/^error: .*$/gm)).toEqual([
      "error: Nothing was said yet that could be saved.",
      `error: ${one} is there already; name another file.`,
      "error: Nothing was said yet that could be answered again.",
      expect.stringMatching(/none\/3 cannot be written: .* Name another file\.$/),
    ]);
    expect(stderr).toContain("What was said is forgotten.\n");
  });

  test("/retry draws anew, and two runs with one seed are the same", async () => {
    const args = ["--model-dir", folderOf(model), "--device", "cpu", "--temperature", "4"];
    const lines = "my red cat\n/retry\n/retry\n";
    const first = await piped(chat, args, lines);
    expect(new Set(first.stdout.trimEnd().split("\n")).size).toBe(3);
    expect(await piped(chat, args, lines)).toEqual(first);
    expect((await piped(chat, [...args, "--seed", "7"], lines)).stdout).not.toBe(first.stdout);
  });

  test("takes the flags of sampling", async () => {
    const args = argv(folderOf(model));
    const stopped = await piped(chat, [...args, "--stop", " is", "--stop", "\\n"], "my red cat");
    expect(stopped.stdout).toBe("the cat\n");
    const short = await piped(chat, [...args, "--max-tokens", "5"], "my red cat");
    expect(short.stdout).toBe("the c\n");
    expect(short.stderr).toBe(
      "The answer ends here for its length, by --max-tokens or by the context.\n",
    );
    const hot = ["--temperature", "5"];
    const one = await piped(chat, [...args, ...hot, "--top-p", "1e-9"], "my red cat");
    expect(one.stdout).toBe("the cat is red\n");
  });

  test("reports words that the model has never seen, as generate does", async () => {
    const config = resolveConfig("microgpt", {
      format: "chat",
      tokenizer: "word",
      block_size: 32,
      num_steps: 1,
    });
    const documents = conversations.map((turns) => JSON.stringify(turns));
    const training = await Training.open({ config, documents, device: "cpu" });
    for await (const _ of training.steps());
    const args = argv(folderOf(await training.model()));
    const lines = "my purple zebra\nmy red cat\n";
    const run = await piped(chat, args, lines);
    const [told] = run.stderr.split("\n");
    expect(told).toMatch(/^error: The model has no token for "purple", or a part of it/);
    expect(run.stdout.split("\n")).toHaveLength(2); // the other one is answered
    const asked = await piped(generate, [...args, "--interactive"], lines);
    expect(asked.stderr).toBe(`${told}\n`);
    expect(asked.stdout).toMatch(/^sample {2}1: <\|user\|>my red cat<\|end_turn\|>/);
  });

  test("has a limit for a line", async () => {
    const mega = new Uint8Array(2 ** 20 + 1).fill(97);
    const { code, stderr } = await piped(chat, argv(folderOf(model)), mega);
    expect([code, stderr]).toEqual([
      2,
      "error: A line of the input has more than 1,048,576 characters; put line ends into it.\n",
    ]);
  });
});

describe("chat, at a terminal,", () => {
  test("streams answers, and brings earlier lines back", async () => {
    const io = terminal(["my red cat\r", "/clear\r", "\x1b[A\x1b[A\r", "/help\r"]);
    const pieces: string[] = [];
    const { onWrite } = io.stdout;
    io.stdout.onWrite = (text) => {
      pieces.push(text);
      onWrite(text);
    };
    const { code, stdout, stderr } = await runCli(chat, argv(folderOf(model)), {}, io);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^The model in .* answers; \/help tells what else there is/);
    expect(stderr).toMatch(/^ {2}\/save FILE {2}writes the conversation/m);
    expect(plain(stdout).match(/^the cat is red$/gm)).toHaveLength(2);
    expect(pieces.join("|")).toContain("|t|h|e| |c|a|t|");
  });

  test("takes lines that are pasted, with what follows them", async () => {
    const io = terminal(["my red cat\rmy blue dog\rmy gold", " owl\r", "/quit\r"]);
    const { stdout } = await runCli(chat, argv(folderOf(model)), {}, io);
    expect(plain(stdout).match(/^the .*$/gm)).toEqual([
      "the cat is red",
      "the dog is blue",
      "the owl is gold",
    ]);
  });

  test("Ctrl-C stops an answer, which stays as it is, and without one the chat", async () => {
    const path = join(temporaryFolder(), "saved");
    const io = terminal(["ab\r", `/save ${path}\r`, "\x03"]);
    const { onWrite } = io.stdout;
    io.stdout.onWrite = (text) => {
      if (text === "x") io.emit("SIGINT"); // as the terminal sends it, and npm once more
      onWrite(text);
    };
    const { code, stderr } = await runCli(chat, argv(endless()), {}, io);
    expect(code).toBe(0);
    expect(stderr).toContain("Stopped. What was said stays, and /retry answers anew.\n");
    const [turns] = parseLines(readFileSync(path, "utf8"));
    expect(turns[1].content).toMatch(/^x{1,20}$/);
    expect(io.listenerCount("SIGINT")).toBe(0);
  });
});

describe("chat refuses", () => {
  test("a model that was not trained on conversations, with how to train one", async () => {
    const config = resolveConfig("microgpt");
    const tokenizer = new CharTokenizer([..."ab"]);
    const layout = new ParameterLayout(dimsOf(config, tokenizer.vocab_size));
    const values = new Float32Array(layout.size);
    const folder = folderOf({ config, tokenizer, step: 1, layout, values });
    const { code, stdout, stderr } = await piped(chat, argv(folder), "a\n");
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(
      /^error: The model in .* was not trained on conversations, .* npm run train -- --chat --input conversations\.jsonl --output chat, where every line .*\.\n$/,
    );
  });

  test("a system's turn that the model does not know", async () => {
    const { code, stderr } = await piped(chat, [...argv(endless()), "--system", "a"], "a\n");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: The model knows no turn of the system/);
  });

  test("a folder without a model", async () => {
    const { code, stderr } = await piped(chat, argv(temporaryFolder()), "a\n");
    expect([code, stderr]).toEqual([1, expect.stringContaining("holds no model")]);
  });
});

describe("generate --interactive", () => {
  const text = (question: string, answer: string) =>
    `<|user|>${question}<|end_turn|><|assistant|>${answer}<|end_turn|>`;

  test.each(["quit", "exit", "q"])("writes a text a line, up to %s", async (end) => {
    const lines = `my red cat\n\nmy € cat\nmy blue dog\n ${end}\nmy pink bus\n`;
    const args = [...argv(folderOf(model)), "--interactive"];
    const { code, stdout, stderr } = await piped(generate, args, lines);
    expect(stdout).toBe(
      `sample  1: ${text("my red cat", "the cat is red")}\nsample  1: ${text("my blue dog", "the dog is blue")}\n`,
    );
    expect(stderr).toMatch(/^error: The model has no token for "€"/);
    expect(code).toBe(1);
  });

  test("writes as many as --num-samples, each line with random numbers of its own; JSON tells errors too", async () => {
    const hot = ["--model-dir", folderOf(model), "--device", "cpu", "--temperature", "4", "--json"];
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
    const args = [...argv(folderOf(model)), "--interactive"];
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
    const folder = folderOf(model);
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
