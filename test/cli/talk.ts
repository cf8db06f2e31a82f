// Commands that take lines: models to answer them, and a pipe or a terminal to write them to.

import { PassThrough } from "node:stream";
import type { Main } from "../../cli/run.ts";
import { resolveConfig } from "../../src/config.ts";
import { saveModel } from "../../src/files/model_dir.node.ts";
import type { Model } from "../../src/files/model_files.ts";
import { dimsOf, ParameterLayout } from "../../src/model/parameters.ts";
import { chatTokens, withTokens } from "../../src/text/chat.ts";
import type { Conversation } from "../../src/text/conversation.ts";
import { CharTokenizer } from "../../src/tokenizer/char.ts";
import { Training } from "../../src/training/train.ts";
import { conversations } from "../harness/conversations.ts";
import { FakeIo, runCli, temporaryFolder } from "./fake_io.ts";

let trained: Promise<Model> | undefined;

/** A folder with a model that knows the conversations of the harness, behind the system's turn too. */
export async function trainedFolder(): Promise<string> {
  return folderOf(await trainedModel());
}

export function trainedModel(): Promise<Model> {
  return (trained ??= trainModel());
}

async function trainModel(): Promise<Model> {
  const config = resolveConfig("microgpt", {
    format: "chat",
    block_size: 48,
    batch_size: 8,
    learning_rate: 0.03,
    num_steps: 130,
  });
  const system = { role: "system", content: "be" } as const;
  const both = conversations.flatMap((turns, i): Conversation[] =>
    i % 8 === 0 ? [turns, [system, ...turns]] : [turns],
  );
  const documents = both.map((turns) => JSON.stringify(turns));
  const training = await Training.open({ config, documents, device: "cpu" });
  for await (const _ of training.steps());
  return training.model();
}

export function folderOf(model: Model): string {
  const folder = temporaryFolder();
  saveModel(folder, model);
  return folder;
}

/** A model that says x for ever. */
export function endless(): string {
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

export const argv = (folder: string) => [
  "--model-dir",
  folder,
  "--device",
  "cpu",
  "--temperature",
  "0",
];

/** Runs a command with these bytes in its pipe, however they are cut. */
export function piped(main: Main, args: string[], ...pieces: (string | Uint8Array)[]) {
  const io = new FakeIo();
  io.stdin = (async function* () {
    for (const piece of pieces) {
      yield typeof piece === "string" ? new TextEncoder().encode(piece) : piece;
    }
  })();
  return runCli(main, args, {}, io);
}

/** A terminal, and what is typed there once the prompt has been shown so often. */
export function terminal(typed: string[]) {
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

/** Without what moves the cursor, which begins with a control character: it is what is looked for. */
// oxlint-disable-next-line no-control-regex
export const plain = (text: string) => text.replaceAll(/\x1b\[\d*[A-Z]/g, "");
