// Lines that somebody writes to a chat, at a terminal and from a pipe, and what it makes of each.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { main as chat } from "../../cli/chat.ts";
import { main as generate } from "../../cli/generate.ts";
import { resolveConfig } from "../../src/config.ts";
import { dimsOf, ParameterLayout } from "../../src/model/parameters.ts";
import { CharTokenizer } from "../../src/tokenizer/char.ts";
import { Training } from "../../src/training/train.ts";
import { conversations } from "../harness/conversations.ts";
import { parseLines, runCli, temporaryFolder } from "./fake_io.ts";
import { argv, endless, folderOf, piped, plain, terminal, trainedFolder } from "./talk.ts";

describe("chat, from a pipe,", () => {
  test("answers line by line, in pieces cut anywhere, with line ends of any kind", async () => {
    const folder = await trainedFolder();
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
    const { stderr, stdout } = await piped(
      chat,
      argv(await trainedFolder()),
      "my red cat\n".repeat(4),
    );
    expect(stdout).toBe("the cat is red\n".repeat(4));
    expect(stderr).toBe(
      "The context of 48 tokens has no room for all that was said: the model did not see the oldest 2 turns, and from " +
        "now on it sees the last ones alone.\n",
    );
  });

  test("gives a JSON line for each line, with --json, and nothing beside them", async () => {
    const args = [...argv(await trainedFolder()), "--json"];
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
    const { code, stdout, stderr } = await piped(
      chat,
      argv(await trainedFolder()),
      lines.join("\n"),
    );
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
    const args = [...argv(await trainedFolder()), "--system", "be"];
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
    const args = ["--model-dir", await trainedFolder(), "--device", "cpu", "--temperature", "4"];
    const lines = "my red cat\n/retry\n/retry\n";
    const first = await piped(chat, args, lines);
    expect(new Set(first.stdout.trimEnd().split("\n")).size).toBe(3);
    expect(await piped(chat, args, lines)).toEqual(first);
    expect((await piped(chat, [...args, "--seed", "7"], lines)).stdout).not.toBe(first.stdout);
  });

  test("takes the flags of sampling", async () => {
    const args = argv(await trainedFolder());
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
    const { code, stderr } = await piped(chat, argv(await trainedFolder()), mega);
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
    const { code, stdout, stderr } = await runCli(chat, argv(await trainedFolder()), {}, io);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^The model in .* answers; \/help tells what else there is/);
    expect(stderr).toMatch(/^ {2}\/save FILE {2}writes the conversation/m);
    expect(plain(stdout).match(/^the cat is red$/gm)).toHaveLength(2);
    expect(pieces.join("|")).toContain("|t|h|e| |c|a|t|");
  });

  test("takes lines that are pasted, with what follows them", async () => {
    const io = terminal(["my red cat\rmy blue dog\rmy gold", " owl\r", "/quit\r"]);
    const { stdout } = await runCli(chat, argv(await trainedFolder()), {}, io);
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
